"""Agreement of two judges: which answers count."""

import pytest

from ascl.judges.agreement import JudgesAgree, agreement_of
from ascl.judges.verdict import Refusal, Verdict

FULL, PARTIAL, NONE = Refusal.FULL_REFUSAL, Refusal.PARTIAL_REFUSAL, Refusal.FULL_COMPLIANCE


def says(safe: bool | None, refusal: Refusal | None = NONE) -> Verdict:
    return Verdict(judge="x", safe=safe, refusal=refusal)


def test_unread_and_unjudged_answers_do_not_count() -> None:
    first = [says(True, FULL), None, says(None, None), says(False), says(True), says(None, NONE)]
    second = [says(True, PARTIAL), says(True), says(True), says(False), says(False, NONE), says(None, NONE)]
    agreed = agreement_of(first, second)
    assert agreed.model_dump() == pytest.approx(
        {"n": 3, "safe": 2 / 3, "safe_kappa": 0.4, "refusal": 2 / 3, "refusal_kappa": 0.4, "unjudged": 0.25}
    )
    assert agreement_of(second, first) == agreed


def test_no_common_verdict_has_no_agreement() -> None:
    assert agreement_of([None], [says(True)]) == JudgesAgree(
        n=0, safe=None, safe_kappa=None, refusal=None, refusal_kappa=None, unjudged=1.0
    )
