"""The test that ends a canary: fair where the arms do not differ, however often one looks, and soon where they do."""

import math
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ascl.serve.trial.canary import LESS, MORE, OF_REFUSALS, TESTS, Arm, Comparison, log_evidence

STUDY = runpy.run_path(str(Path(__file__).parents[2] / "studies" / "canary.py"))
shares = st.floats(0.01, 0.5)


def expected(theta: float, share: float, ratios: tuple[float, ...], n: int) -> float:
    """The mean of E after n events, each under the candidate with probability theta."""
    weights = [math.comb(n, k) * theta**k * (1 - theta) ** (n - k) for k in range(n + 1)]
    return float(np.dot(weights, np.exp(log_evidence(range(n + 1), [n] * (n + 1), share, ratios))))


@given(shares, st.integers(0, 40), st.floats(0, 1))
def test_the_evidence_is_one_on_average_where_nothing_differs_and_less_on_the_other_side(
    share: float, n: int, of: float
) -> None:
    for ratios in (MORE, LESS):
        assert expected(share, share, ratios, n) == pytest.approx(1)
    assert expected(share * of, share, MORE, n) <= 1 + 1e-9
    assert expected(share + (1 - share) * of, share, LESS, n) <= 1 + 1e-9


@given(shares, st.integers(0, 300), st.data())
def test_it_is_the_formula_and_grows_with_what_it_looks_for(share: float, n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    thetas = [share * r / (share * r + 1 - share) for r in MORE]
    said = sum((t / share) ** k * ((1 - t) / (1 - share)) ** (n - k) for t in thetas) / len(MORE)
    assert float(log_evidence(k, n, share, MORE)) == pytest.approx(math.log(said), abs=1e-6)
    if k < n:
        assert log_evidence(k + 1, n, share, MORE) > log_evidence(k, n, share, MORE)
        assert log_evidence(k + 1, n, share, LESS) < log_evidence(k, n, share, LESS)


@pytest.mark.parametrize(("share", "ratios"), [(0.0, MORE), (1.0, MORE), (0.1, (0.5, 2.0)), (0.1, (0.0, 0.5))])
def test_what_is_no_test_is_refused(share: float, ratios: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        log_evidence(1, 2, share, ratios)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_arms_that_do_not_differ_are_hardly_ever_told_apart(share: float) -> None:
    assert STUDY["false_alarms"](share, runs=1000, events=500, seed=1) <= 0.05


@pytest.mark.parametrize(("active", "candidate", "most"), [(0.05, 0.10, 6500), (0.20, 0.10, 3500)])
def test_a_worse_candidate_is_found_in_as_many_conversations_as_the_docs_say(
    active: float, candidate: float, most: int
) -> None:
    found = STUDY["conversations"](active, candidate, 0.1, runs=300, seed=2)
    assert np.mean(found <= most) >= 0.88


answers = st.tuples(
    st.lists(st.sampled_from(["fault", "refused", "withheld", "over_refusal", "harmful"]), unique=True),
    st.sampled_from("abcdefgh"),
    st.sampled_from(["active", "candidate"]),
)


ENDED_AND_FAULTY: list[tuple[list[str], str, Arm]] = [(["refused"], name, "candidate") for name in "ab"]
ENDED_AND_FAULTY.append((["refused", "fault"], "c", "candidate"))


@given(st.lists(answers, max_size=40), shares)
@example(ENDED_AND_FAULTY, 1 / 64)
def test_a_conversation_counts_once_for_each_kind_of_event(
    seen: list[tuple[list[str], str, Arm]], share: float
) -> None:
    comparison, first = Comparison(share), dict[tuple[str, str], Arm]()
    told = [comparison.add(*one) for one in seen]
    for events, conversation, arm in seen:
        for event in events:
            first.setdefault((event, conversation), arm)
    for event in ("fault", "refused", "withheld", "over_refusal", "harmful"):
        arms = [arm for (name, _), arm in first.items() if name == event]
        assert comparison.counts.get(event, (0, 0)) == (arms.count("candidate"), len(arms))
    assert [one for one in told if one] == ([comparison.worse] if comparison.worse else [])


@pytest.mark.parametrize("test", TESTS)
def test_each_test_ends_a_canary_for_its_own_event_alone(test: str) -> None:
    event, ratios = TESTS[test]  # type: ignore[index]
    arm: Arm = "candidate" if ratios is MORE else "active"
    comparison = Comparison(0.3)
    found = [comparison.add([event], f"c{n}", arm) for n in range(60)]
    assert comparison.worse == test
    assert [one for one in found if one] == [test]


def test_refusals_that_may_move_are_no_reason() -> None:
    comparison = Comparison(0.3, [test for test in TESTS if test not in OF_REFUSALS])
    for n in range(200):
        comparison.add(["refused"], f"c{n}", "candidate")
    assert comparison.worse is None
    assert comparison.enough < Comparison(0.3).enough
