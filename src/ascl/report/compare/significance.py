"""Which of many paired differences are more than chance, and all of them seen from one evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

from ascl.evals.paired import PairedDifference
from ascl.report.files import Estimate

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


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979): the adjusted p values, in order.

    Of m p values sorted upwards, the k-th (from 1) becomes max over j <= k of min(1, (m - j + 1) p_(j)). None (no test
    was made) stays None and does not count in m. Reject where the adjusted value is below the level.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = largest
    return adjusted


def against(base: str, pairs: Sequence[PairedDifference]) -> list[Difference]:
    """The differences of the other evaluations from `base`; a pair that has it second is turned round.

    A pair that is there both ways counts once, as it is given with `base` first.
    """
    found: dict[tuple[str, str], tuple[int, Estimate, float | None]] = {}
    for pair in sorted(pairs, key=lambda pair: pair.first != base):
        estimate = Estimate.model_validate(pair.difference.model_dump() | {"unjudged": pair.unjudged})
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
