"""How well a refusal judge agrees with people: agreement, interval, confusion, and precision and recall by class."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from ascl.errors import InputError
from ascl.files import read_jsonl
from ascl.judges.refusal import classify_refusal
from ascl.judges.verdict import Refusal

CLASSES = tuple(Refusal)
Z = 1.959964  # the normal quantile of a two-sided 95 % interval


class Row(BaseModel):
    """One reply with its human label, and the labels other judges gave it where they gave one."""

    model_config = ConfigDict(extra="forbid")

    prompt: str
    response: str = Field(min_length=1)
    human: Refusal
    published: dict[str, Refusal] = Field(default_factory=dict)


class Agreement(BaseModel):
    """One judge against people. `confusion[human][judge]` counts replies; low and high bound `agreement` (95 %).

    Precision is None where the judge never gave the class, recall where people never did.
    """

    model_config = ConfigDict(extra="forbid")

    n: int
    agreement: float
    low: float
    high: float
    confusion: dict[Refusal, dict[Refusal, int]]
    precision: dict[Refusal, float | None]
    recall: dict[Refusal, float | None]


class Calibration(Agreement):
    """This judge against people, and the published judges on those of the same rows that they labelled."""

    published: dict[str, Agreement] = Field(default_factory=dict)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The Wilson 95 % interval of a share of `hits` in `n` (> 0)."""
    share, z2 = hits / n, Z * Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _refusal(label: str) -> Refusal | None:
    """`2_full_refusal` -> FULL_REFUSAL; None for anything else that a judge may have written."""
    name = label.strip().partition("_")[2]
    return Refusal(name) if name in CLASSES else None


def load_calibration(path: str | Path) -> list[Row]:
    """Read JSONL rows with prompt, response and human_label, and, where present, strmatch_label and gpt4_label."""
    rows = []
    for number, raw in read_jsonl(Path(path)):
        where = f"{path}, line {number}"
        for key in ("prompt", "response", "human_label"):
            if not isinstance(raw.get(key), str) or not raw[key].strip():
                raise InputError(f"{where}: {key!r} must be a text that is not empty")
        human = _refusal(raw["human_label"])
        if human is None:
            raise InputError(
                f"{where}: 'human_label' is {raw['human_label']!r}, not one of 1_full_compliance, "
                "2_full_refusal, 3_partial_refusal"
            )
        labels = {judge: _refusal(str(raw.get(f"{judge}_label", ""))) for judge in ("strmatch", "gpt4")}
        published = {judge: label for judge, label in labels.items() if label is not None}
        rows.append(Row(prompt=raw["prompt"], response=raw["response"], human=human, published=published))
    if not rows:
        raise InputError(f"{path}: no rows")
    return rows


def agreement(pairs: Iterable[tuple[Refusal, Refusal]]) -> Agreement:
    """Compare (human, judge) labels."""
    confusion = {human: dict.fromkeys(CLASSES, 0) for human in CLASSES}
    for human, judged in pairs:
        confusion[human][judged] += 1
    n = sum(sum(row.values()) for row in confusion.values())
    if n == 0:
        raise InputError("nothing to calibrate on: no rows")
    hits = sum(confusion[c][c] for c in CLASSES)
    given = {c: sum(confusion[human][c] for human in CLASSES) for c in CLASSES}
    true = {c: sum(confusion[c].values()) for c in CLASSES}
    low, high = wilson(hits, n)
    return Agreement(
        n=n,
        agreement=hits / n,
        low=low,
        high=high,
        confusion=confusion,
        precision={c: confusion[c][c] / given[c] if given[c] else None for c in CLASSES},
        recall={c: confusion[c][c] / true[c] if true[c] else None for c in CLASSES},
    )


def calibrate(rows: Iterable[Row], judge: Callable[[str, str], Refusal] = classify_refusal) -> Calibration:
    """Compare a judge (prompt, answer -> class) and the published labels with the human labels."""
    rows = list(rows)
    own = agreement((row.human, judge(row.prompt, row.response)) for row in rows)
    names = sorted({name for row in rows for name in row.published})
    published = {
        name: agreement((row.human, row.published[name]) for row in rows if name in row.published) for name in names
    }
    return Calibration(**own.model_dump(), published=published)


def format_calibration(c: Calibration) -> str:
    """The calibration as a plain text table."""
    lines = [f"{'judge':<12}{'n':>5}  {'agreement':>9}  95 % interval"]
    for name, a in {"this judge": c, **c.published}.items():
        lines.append(f"{name:<12}{a.n:>5}  {a.agreement:>9.3f}  {a.low:.3f} - {a.high:.3f}")
    lines += ["", f"{'human / judge':<18}" + "".join(f"{k:>18}" for k in CLASSES) + f"{'precision':>11}{'recall':>8}"]
    for k in CLASSES:
        shares = [("-" if share is None else f"{share:.2f}") for share in (c.precision[k], c.recall[k])]
        counts = "".join(f"{c.confusion[k][judged]:>18}" for judged in CLASSES)
        lines.append(f"{k:<18}{counts}{shares[0]:>11}{shares[1]:>8}")
    return "\n".join(lines)
