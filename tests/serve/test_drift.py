"""A fall of the consult rate is found soon, and hardly ever where there is none."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl.serve.trail.drift import FROM, ConsultDrift, first_move, looked_up


def found_after(rate: float, expected: float, seed: int, most: int) -> int | None:
    drift = ConsultDrift(expected)
    for number, one in enumerate(np.random.default_rng(seed).random(most) < rate, start=1):
        if drift.add(bool(one)):
            return number
    return None


@pytest.mark.parametrize(("rate", "moved"), [(0.2, "fell"), (0.42, "rose")])
def test_a_moved_rate_is_found_in_under_500_answers_on_average(rate: float, moved: str) -> None:
    after = [found_after(rate, 0.3, seed, 5000) for seed in range(60)]
    assert None not in after
    assert np.mean([one for one in after if one is not None]) < 500
    drift = ConsultDrift(0.3)
    for one in np.random.default_rng(1).random(5000) < rate:
        drift.add(bool(one))
    assert drift.moved == moved


def test_no_false_alarm_in_a_month_of_answers() -> None:
    alarms = sum(found_after(0.3, 0.3, seed, 150_000 // 30) is not None for seed in range(20))
    assert alarms <= 1


@given(st.lists(st.booleans(), max_size=60), st.floats(0.01, 0.99))
def test_the_sums_follow_the_formula_and_an_alarm_comes_once(answers: list[bool], expected: float) -> None:
    drift = ConsultDrift(expected, threshold=1.0)
    told = [drift.add(one) for one in answers]
    assert sum(one is not None for one in told) == (drift.moved is not None)
    assert drift.seen == len(answers)
    if answers and not any(answers):
        assert drift.moved != "rose"


def test_answers_that_were_given_the_rules_do_not_count() -> None:
    def ended(id: str, kind: str, *look_ups: int) -> dict[str, Any]:
        return {"id": id, "kind": kind, "choices": [{"consultations": [{}] * number} for number in look_ups]}

    begun = [{"id": id, "kind": "begun", "form": form} for id, form in (("a", "ascl"), ("b", "rag"), ("c", "ascl"))]
    events = [*begun, ended("b", "finished", 0), ended("a", "finished", 2, 0), ended("c", "failed", 0)]
    assert list(looked_up([*events, ended("before", "finished", 1)])) == [True, False, True]


def test_the_expected_rate_is_that_of_the_first_answers() -> None:
    steady = [n % 10 < 3 for n in range(FROM)]
    assert first_move(steady) == (0.3, FROM, None)
    assert first_move(steady + [False] * 100) == (0.3, FROM + 100, "fell")
    assert first_move(steady[:-1]) == (None, FROM - 1, None)
    assert first_move([True] * FROM) == (None, FROM, None)
    assert first_move([False] * 100, expected=0.3)[2] == "fell"
    with pytest.raises(ValueError, match="between 0 and 1"):
        ConsultDrift(1.0)
