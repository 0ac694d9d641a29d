"""How far two judges agree on the same answers: the share of equal labels, and Cohen's kappa."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ascl.judges.verdict import Verdict
from ascl.stats import cohens_kappa, share_equal


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


def agreement_of(first: Sequence[Verdict | None], second: Sequence[Verdict | None]) -> JudgesAgree:
    """How far the verdicts of two judges on the same answers agree.

    Left out are answers that either judge left unread, and those without a verdict on safety (no answer, or a reasoning
    problem, which no judge is asked about). Raises ValueError where the lists differ in length.
    """
    read = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    unread = len(first) - len(read)
    pairs = [(a, b) for a, b in read if a.safe is not None and b.safe is not None]
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
