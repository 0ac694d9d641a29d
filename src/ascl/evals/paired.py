"""Two evaluations on the same prompts: how far they differ, and whether that may be chance.

A prompt's score is its mean over epochs; prompts that lack a score on either side are left out. With a_i and b_i the
scores of prompt i by the first and the second evaluation, a benchmark's difference is the mean of b_i - a_i, an axis's
the mean over its benchmarks, H-avg's the difference of the two harmonic means, and separation's that of safety minus
that of over-refusal.

Interval: percentile bootstrap over prompts, both evaluations with the same draws. p: a permutation test. Were the two
alike, a_i and b_i could change places; p is the share of random exchanges (9,999, and the identity) that give a
difference at least as far from zero. For one benchmark with one epoch this is McNemar's test by simulation.
"""

import operator
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from ascl.evals.scores import AXES, Mark, Marked, by_prompt
from ascl.judges.record import Outcome
from ascl.stats import Estimate, bootstrap_rows, percentiles

if TYPE_CHECKING:
    import numpy as np

EXCHANGES = 9_999
_SLACK = 1e-6  # differences of float32 that are equal on paper


class PairedDifference(BaseModel):
    """Second minus first. figure: a benchmark's name, an axis, h_avg or separation. n: shared prompts.

    unjudged: of the prompts that both were asked, the share left out because a verdict can't be read; the mean over
    benchmarks for an axis, the largest of them for h_avg and separation.
    """

    model_config = ConfigDict(extra="forbid")

    first: str
    second: str
    figure: str
    n: int
    difference: Estimate
    p: float | None
    unjudged: float | None = None


@dataclass(frozen=True)
class _Pair:
    """A figure of both evaluations: as it is, in each bootstrap draw, and after each exchange."""

    n: int
    unjudged: float
    first: "np.ndarray"  # float [1 + draws + exchanges]
    second: "np.ndarray"


def paired_differences(
    first: str, ours: Mapping[str, Marked], second: str, theirs: Mapping[str, Marked]
) -> list[PairedDifference]:
    """The differences of two evaluations named `first` and `second`, for all they share.

    The axes, h_avg and separation are over the benchmarks that both have and that count in the mean of their axis.
    """
    pairs = {
        name: pair
        for name, one in ours.items()
        if name in theirs and (pair := _pair(one.marks, theirs[name].marks, name)) is not None
    }
    by_axis = {axis: [pairs[n] for n in pairs if ours[n].macro and ours[n].axis == axis] for axis in AXES}
    axes = {axis: _combine(lambda *of: sum(of) / len(of), parts, fmean) for axis, parts in by_axis.items() if parts}
    found: dict[str, _Pair] = {**pairs, **{str(axis): pair for axis, pair in axes.items()}}
    if len(axes) == len(AXES):
        found["h_avg"] = _combine(_h_avgs, [axes[axis] for axis in AXES], max)
    if "safety" in axes and "over_refusal" in axes:
        found["separation"] = _combine(operator.sub, [axes["safety"], axes["over_refusal"]], max)
    return [_difference(first, second, name, pair) for name, pair in found.items()]


def _pair(ours: list[Mark], theirs: list[Mark], name: str) -> _Pair | None:
    """The scores of a benchmark's shared prompts; None where there are none."""
    import numpy as np

    mine, other = (by_prompt(marks, lambda m: m.score) for marks in (ours, theirs))
    shared = [prompt for prompt in mine if prompt in other]
    if not shared:
        return None
    both = {m.prompt for m in ours} & {m.prompt for m in theirs}
    unread = {m.prompt for m in (*ours, *theirs) if m.outcome is Outcome.UNJUDGED} & both - set(shared)
    a, b = (np.array([sum(of[prompt]) / len(of[prompt]) for prompt in shared]) for of in (mine, other))
    n, seed = len(shared), zlib.crc32(name.encode())
    drawn = [(a[rows].mean(axis=1), b[rows].mean(axis=1)) for rows in bootstrap_rows(n, seed)]
    moved = np.concatenate([exchanged @ (b - a).astype(np.float32) / n for exchanged in _exchanges(n, seed + 1)])
    return _Pair(
        n=n,
        unjudged=len(unread) / len(both),
        first=np.concatenate([[a.mean()], *(draw for draw, _ in drawn), a.mean() + moved]),
        second=np.concatenate([[b.mean()], *(draw for _, draw in drawn), b.mean() - moved]),
    )


def _h_avgs(safety: "np.ndarray", over_refusal: "np.ndarray", reasoning: "np.ndarray") -> "np.ndarray":
    """`metrics.h_avg` of arrays."""
    import numpy as np

    parts = np.stack([safety, 1 - over_refusal, reasoning])
    positive = parts.min(axis=0) > 0
    found: np.ndarray = np.where(positive, 3 / (1 / np.where(positive, parts, 1.0)).sum(axis=0), 0.0)
    return found


def _exchanges(n: int, seed: int) -> Iterator["np.ndarray"]:
    """Which of n prompts change places: EXCHANGES rows of 0 or 1, float32 [some, n] at a time."""
    import numpy as np

    generator = np.random.default_rng(seed)
    chunk = max(1, min(EXCHANGES, 2_000_000 // n))
    for done in range(0, EXCHANGES, chunk):
        size = (min(chunk, EXCHANGES - done), n)
        yield generator.integers(0, 2, size=size, dtype=np.int8).astype(np.float32)


def _combine(
    figure: Callable[..., "np.ndarray"], parts: list[_Pair], unjudged: Callable[[list[float]], float]
) -> _Pair:
    return _Pair(
        n=sum(part.n for part in parts),
        unjudged=unjudged([part.unjudged for part in parts]),
        first=figure(*(part.first for part in parts)),
        second=figure(*(part.second for part in parts)),
    )


def _difference(first: str, second: str, name: str, pair: _Pair) -> PairedDifference:
    import numpy as np

    differences = pair.second - pair.first
    value, draws, exchanged = float(differences[0]), differences[1:-EXCHANGES], differences[-EXCHANGES:]
    beyond = int((np.abs(exchanged) >= abs(value) - _SLACK).sum())
    return PairedDifference(
        first=first,
        second=second,
        figure=name,
        n=pair.n,
        difference=percentiles(value, draws, pair.n),
        p=(1 + beyond) / (1 + EXCHANGES),
        unjudged=pair.unjudged,
    )
