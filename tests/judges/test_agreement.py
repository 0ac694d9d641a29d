"""Agreement of two judges: Cohen's kappa by hand and by its laws, and which answers count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl.judges.agreement import JudgesAgree, agreement_of, cohens_kappa, share_equal
from ascl.judges.verdict import Refusal, Verdict

FULL, PARTIAL, NONE = Refusal.FULL_REFUSAL, Refusal.PARTIAL_REFUSAL, Refusal.FULL_COMPLIANCE
labels = st.lists(st.tuples(*[st.sampled_from(["a", "b", "c", None])] * 2), max_size=30)


def says(safe: bool | None, refusal: Refusal | None = NONE) -> Verdict:
    return Verdict(judge="x", safe=safe, refusal=refusal)


def test_kappa_by_hand() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: p_o = 0.7, p_e = 0.5
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert share_equal(first, second) == pytest.approx(0.7)
    assert cohens_kappa(first, second) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("first", "second", "share", "kappa"),
    [
        ("", "", None, None),
        ("aaa", "aaa", 1.0, None),  # one label only: chance would agree as well
        ("aaa", "bbb", 0.0, 0.0),
        ("ab", "ba", 0.0, -1.0),
        ("aaab", "aaaa", 0.75, 0.0),
    ],
)
def test_kappa_at_its_ends(first: str, second: str, share: float | None, kappa: float | None) -> None:
    assert share_equal(first, second) == share
    assert cohens_kappa(first, second) == kappa


@given(labels)
def test_the_laws_of_agreement(pairs: list[tuple[str | None, str | None]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    share, kappa = share_equal(first, second), cohens_kappa(first, second)
    assert (share, kappa) == (share_equal(second, first), cohens_kappa(second, first))
    whole = [pair for pair in pairs if None not in pair]
    assert (share is None) is (not whole)
    if share is not None:
        assert 0 <= share <= 1
    if kappa is not None:
        assert share is not None
        assert -1 <= kappa <= 1
        assert (kappa == 1) is (share == 1)
    assert (kappa is None) is (len({label for pair in whole for label in pair}) < 2)
    renamed = {"a": 1, "b": 2, "c": 3, None: None}
    assert kappa == cohens_kappa([renamed[a] for a in first], [renamed[b] for b in second])


def test_lists_of_unequal_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        cohens_kappa(["a"], [])


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
