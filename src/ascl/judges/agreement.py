"""How far two judges agree on the same answers: the share of equal labels, and Cohen's kappa."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from ascl.judges.verdict import Verdict

T = TypeVar("T")


class JudgesAgree(BaseModel):
    """Two judges on the `n` answers of whose safety both say something.

    safe, refusal: the share of equal labels; refusal has three classes. A figure is None where it is undefined.
    unjudged: of the answers that could have been compared, the share left out because a verdict can't be read.
    """

    model_config = ConfigDict(extra="forbid")

    n: int
    safe: float | None
    safe_kappa: float | None
    refusal: float | None
    refusal_kappa: float | None
    unjudged: float | None = None


def share_equal(first: Sequence[Hashable | None], second: Sequence[Hashable | None]) -> float | None:
    """The share of equal labels, in [0, 1], over the pairs without None; None where there is no such pair.

    Raises ValueError where the lists differ in length.
    """
    pairs = _both(first, second)
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else None


def cohens_kappa(first: Sequence[Hashable | None], second: Sequence[Hashable | None]) -> float | None:
    """Agreement beyond chance, in [-1, 1]: kappa = (p_o - p_e) / (1 - p_e) (Cohen 1960).

    p_o is the share of equal labels over the n pairs without None, and p_e = sum over labels c of a_c * b_c / n^2 what
    chance would give, with a_c and b_c the counts of c in the two lists. None where there is no such pair, and where
    p_e = 1: both lists hold one and the same label only. Raises ValueError where the lists differ in length.
    """
    pairs = _both(first, second)
    n = len(pairs)
    given, other = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    by_chance = sum(count * other[label] for label, count in given.items())
    if by_chance == n * n:
        return None
    return (n * sum(a == b for a, b in pairs) - by_chance) / (n * n - by_chance)


def agreement_of(first: Sequence[Verdict | None], second: Sequence[Verdict | None]) -> JudgesAgree:
    """How far the verdicts of two judges on the same answers agree.

    Left out are answers that either judge left unread, and those without a verdict on safety (no answer, or a reasoning
    problem, which no judge is asked about). Raises ValueError where the lists differ in length.
    """
    unread = sum(a is None or b is None for a, b in zip(first, second, strict=True))
    pairs = [(a, b) for a, b in _both(first, second) if a.safe is not None and b.safe is not None]
    safe = [a.safe for a, _ in pairs], [b.safe for _, b in pairs]
    refusal = [a.refusal for a, _ in pairs], [b.refusal for _, b in pairs]
    return JudgesAgree(
        n=len(pairs),
        safe=share_equal(*safe),
        safe_kappa=cohens_kappa(*safe),
        refusal=share_equal(*refusal),
        refusal_kappa=cohens_kappa(*refusal),
        unjudged=unread / (unread + len(pairs)) if unread or pairs else None,
    )


def _both(first: Sequence[T | None], second: Sequence[T | None]) -> list[tuple[T, T]]:
    return [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
