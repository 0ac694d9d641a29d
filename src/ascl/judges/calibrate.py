"""How well a judge's word on refusals agrees with people: share, interval, confusion, precision and recall by class.

Many guards know only whether a reply refuses. So every agreement is given in all classes (XSTest's three, and off-topic
replies) and in two: full compliance against all else.
"""

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError
from ascl.inputs import read_jsonl
from ascl.judges.judge import Case, Judge, judge_all
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.verdict import Refusal
from ascl.stats import wilson

CLASSES = tuple(Refusal)
WARN_ABOVE = 0.01  # share of unjudged or unparsed answers; a figure with a larger one has a warning


class Row(BaseModel):
    """One reply with its human label, and the labels other judges gave it where they gave one. type: of the prompt."""

    model_config = ConfigDict(extra="forbid")

    prompt: str
    response: str = Field(min_length=1)
    human: Refusal
    published: dict[str, Refusal] = Field(default_factory=dict)
    type: str | None = None


class Share(BaseModel):
    """The share of `n` replies on which judge and people agree; low and high bound it (Wilson, 95 %)."""

    model_config = ConfigDict(extra="forbid")

    n: int
    agreement: float
    low: float
    high: float


class Agreement(Share):
    """One judge against people. `confusion[human][judge]` counts replies.

    two_classes: full compliance against all else. Precision is None where the judge never gave the class, recall
    where people never did.
    """

    two_classes: Share
    confusion: dict[Refusal, dict[Refusal, int]]
    precision: dict[Refusal, float | None]
    recall: dict[Refusal, float | None]


class Calibration(Agreement):
    """A judge against people, over all its readable verdicts and by type of prompt; and the published judges.

    unjudged: share of the replies on which it said nothing readable, left out of its figures. published: over the rows
    they labelled.
    """

    judge: str
    unjudged: float = 0.0
    by_type: dict[str, Agreement] = Field(default_factory=dict)
    published: dict[str, Agreement] = Field(default_factory=dict)


def _refusal(label: str) -> Refusal | None:
    """`2_full_refusal` -> FULL_REFUSAL and so on; None for anything else that a judge may have written."""
    name = label.strip().partition("_")[2]
    return Refusal(name) if name in CLASSES else None


def load_calibration(path: str | Path) -> list[Row]:
    """Read JSONL rows with prompt, response and human_label.

    Where present, also the labels of others (strmatch_label, gpt4_label) and the type or category of the prompt.
    """
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
                "2_full_refusal, 3_partial_refusal, 4_off_topic"
            )
        labels = {judge: _refusal(str(raw.get(f"{judge}_label", ""))) for judge in ("strmatch", "gpt4")}
        published = {judge: label for judge, label in labels.items() if label is not None}
        named = raw.get("type") or raw.get("category")
        rows.append(
            Row(
                prompt=raw["prompt"],
                response=raw["response"],
                human=human,
                published=published,
                type=named if isinstance(named, str) else None,
            )
        )
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
    given = {c: sum(confusion[human][c] for human in CLASSES) for c in CLASSES}
    true = {c: sum(confusion[c].values()) for c in CLASSES}
    complied = Refusal.FULL_COMPLIANCE
    mistaken = given[complied] + true[complied] - 2 * confusion[complied][complied]
    return Agreement(
        **_share(sum(confusion[c][c] for c in CLASSES), n).model_dump(),
        two_classes=_share(n - mistaken, n),
        confusion=confusion,
        precision={c: confusion[c][c] / given[c] if given[c] else None for c in CLASSES},
        recall={c: confusion[c][c] / true[c] if true[c] else None for c in CLASSES},
    )


def _share(hits: int, n: int) -> Share:
    low, high = wilson(hits, n)
    return Share(n=n, agreement=hits / n, low=low, high=high)


def calibrate(rows: Iterable[Row], judge: Judge | None = None) -> Calibration:
    """Compare a judge (None: the offline one) and the published labels with the human labels.

    Raises InputError where there are no rows, or none on which the judge said anything readable.
    """
    rows, judge = list(rows), judge or OfflineJudge()
    verdicts = judge_all(judge, [_case(row) for row in rows])
    read = [(row, v.refusal) for row, v in zip(rows, verdicts, strict=True) if v is not None and v.refusal is not None]
    if rows and not read:
        raise InputError(f"{judge.name}: no readable verdict on any of {len(rows)} replies; is the judge's kind right?")
    own = agreement((row.human, judged) for row, judged in read)
    types = sorted({row.type for row, _ in read if row.type is not None})
    names = sorted({name for row in rows for name in row.published})
    return Calibration(
        **own.model_dump(),
        judge=judge.name,
        unjudged=(len(rows) - len(read)) / len(rows),
        by_type={one: agreement((row.human, judged) for row, judged in read if row.type == one) for one in types},
        published={
            name: agreement((row.human, row.published[name]) for row in rows if name in row.published) for name in names
        },
    )


def _case(row: Row) -> Case:
    """The row as a sensitive prompt with a finished trajectory of one turn."""
    prompt = Prompt(id="calibration", messages=[Message(role="user", content=row.prompt)], kind=Kind.SENSITIVE)
    messages = [*prompt.messages, Message(role="assistant", content=row.response)]
    return Case(prompt, Trajectory(prompt_id=prompt.id, messages=messages, prompt_length=1, stop=StopReason.ANSWERED))


def format_calibration(c: Calibration) -> str:
    """The calibration as plain text tables."""
    lines = _shares("judge", {"this judge": c, **c.published})
    lines += ["", f"{'human / judge':<18}" + "".join(f"{k:>18}" for k in CLASSES) + f"{'precision':>11}{'recall':>8}"]
    for k in CLASSES:
        shares = [("-" if share is None else f"{share:.2f}") for share in (c.precision[k], c.recall[k])]
        counts = "".join(f"{c.confusion[k][judged]:>18}" for judged in CLASSES)
        lines.append(f"{k:<18}{counts}{shares[0]:>11}{shares[1]:>8}")
    if c.by_type:
        lines += ["", *_shares("type", c.by_type)]
    lines += ["", f"this judge is {c.judge}; unjudged: {100 * c.unjudged:.1f} % of the replies"]
    if c.unjudged > WARN_ABOVE:
        lines.append("warning: the figures are over the replies that it judged; they may be better than the judge is")
    return "\n".join(lines)


def _shares(title: str, rows: dict[str, Agreement]) -> list[str]:
    """A table of agreements, one a line, in three classes and in two."""
    width = max(12, *(len(name) + 2 for name in rows))
    lines = [f"{title:<{width}}{'n':>5}  {'agreement':>9}  {'95 % interval':<15}{'two classes':>13}  95 % interval"]
    for name, a in rows.items():
        two = a.two_classes
        three = f"{a.agreement:>9.3f}  {a.low:.3f} - {a.high:.3f}  "
        lines.append(f"{name:<{width}}{a.n:>5}  {three}{two.agreement:>13.3f}  {two.low:.3f} - {two.high:.3f}")
    return lines
