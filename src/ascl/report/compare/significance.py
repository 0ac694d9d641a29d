"""Which of many paired differences are more than chance, and all of them seen from one evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

from ascl.evals.paired import PairedDifference
from ascl.stats import Estimate, holm

LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """One figure of `other` minus that of the base evaluation. corrected: Holm's p over the table it stands in."""

    other: str
    figure: str
    n: int
    estimate: Estimate
    p: float | None
    corrected: float | None


def against(base: str, pairs: Sequence[PairedDifference]) -> list[Difference]:
    """The differences of the other evaluations from `base`; a pair that has it second is turned round.

    A pair that is there both ways counts once, as it is given with `base` first.
    """
    found: dict[tuple[str, str], tuple[int, Estimate, float | None]] = {}
    for pair in sorted(pairs, key=lambda pair: pair.first != base):
        estimate = pair.difference.model_copy(update={"unjudged": pair.unjudged})
        if pair.first == base:
            key = (pair.second, pair.figure)
        elif pair.second == base:
            key, estimate = (pair.first, pair.figure), _turned(estimate)
        else:
            continue
        found.setdefault(key, (pair.n, estimate, pair.p))
    corrected = holm([p for _, _, p in found.values()])
    return [
        Difference(other, figure, n, estimate, p, adjusted)
        for ((other, figure), (n, estimate, p)), adjusted in zip(found.items(), corrected, strict=True)
    ]


def _turned(estimate: Estimate) -> Estimate:
    def minus(value: float | None) -> float | None:
        return None if value is None else 0.0 - value

    low, high = minus(estimate.high), minus(estimate.low)
    return estimate.model_copy(update={"value": minus(estimate.value), "low": low, "high": high})
