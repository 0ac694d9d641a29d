"""What a candidate would have returned: counts against a plain count, intervals that know what repeats."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl.errors import InputError
from ascl.serve.trial.shadow import shadow

Found = tuple[str, list[str], list[str]]  # a query, what came back, and what the candidate finds


def events(found: list[Found], candidate: str = "c1", at: float = 1.0, first: int = 0) -> list[dict[str, Any]]:
    """A trail with an answer for each look-up."""
    said = []
    for n, (query, before, after) in enumerate(found, start=first):
        common = {"seq": n, "id": f"r{n}", "tenant": "t", "at": at}
        looked_up = {"query": query, "top_k": 3, "rules": [[one, 0.5] for one in before], "candidate": after}
        said.append({**common, "kind": "begun", "rules": "v1", "candidate": candidate})
        said.append({**common, "kind": "finished", "choices": [{"consultations": [looked_up]}]})
    return said


rules = st.lists(st.sampled_from(["a.a", "a.b", "a.c"]), unique=True, max_size=3)
pairs = st.lists(st.tuples(st.sampled_from("xyz"), rules, rules), min_size=1, max_size=30)


@given(pairs)
def test_counts_are_those_of_a_plain_count(found: list[Found]) -> None:
    told = shadow(events(found))
    assert told is not None
    assert (told.lookups, told.queries) == (len(found), len({query for query, _, _ in found}))
    differ = [(before, after) for _, before, after in found if set(before) != set(after)]
    assert told.differ.value == len(differ) / len(found)
    assert told.reordered == sum(set(b) == set(a) and b != a for _, b, a in found)
    for rule in ("a.a", "a.b", "a.c"):
        gained = sum(rule in a and rule not in b for _, b, a in found)
        lost = sum(rule in b and rule not in a for _, b, a in found)
        assert (rule in told.rules) == bool(gained + lost)
        if rule in told.rules:
            one = told.rules[rule]
            assert (one.before, one.after) == (sum(rule in b for _, b, _ in found), sum(rule in a for _, _, a in found))
            assert (one.gained.value, one.lost.value) == (gained / len(found), lost / len(found))
    for estimate in (told.differ, *(one.gained for one in told.rules.values())):
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1  # type: ignore[operator]


def test_a_query_that_comes_again_tells_nothing_new() -> None:
    once = shadow(events([("x", ["a"], ["b"]), ("y", ["a"], ["a"])]))
    often = shadow(events([("x", ["a"], ["b"]), ("y", ["a"], ["a"])] * 50))
    apart = shadow(events([(f"{n}", ["a"], ["b"] if n % 2 else ["a"]) for n in range(100)]))
    assert once and often and apart
    assert (often.differ.low, often.differ.high) == (once.differ.low, once.differ.high)
    assert apart.differ.low > often.differ.low  # type: ignore[operator]


def test_the_newest_candidate_counts_and_the_time_is_that_of_the_answer() -> None:
    old, new = [("x", ["a"], ["b"])] * 3, [("x", ["a"], ["a"])] * 2
    both = events(old, "c1", at=1.0) + events(new, "c2", at=5.0, first=10)
    told = shadow(both)
    assert told and (told.candidate, told.lookups, told.others, told.differ.value) == ("c2", 2, 3, 0.0)
    late = shadow(both, since=2.0)
    assert late and (late.lookups, late.others) == (2, 0)
    assert shadow(both, since=9.0) is None
    assert shadow([]) is None


def test_look_ups_without_a_candidate_and_other_records_are_passed_over() -> None:
    plain = events([("x", ["a"], ["b"])])
    del plain[1]["choices"][0]["consultations"][0]["candidate"]
    other = {"seq": 9, "id": "canary-1", "kind": "canary", "tenant": "", "at": 1.0, "rules": ["no", "version"]}
    assert shadow([*plain, other]) is None


@pytest.mark.parametrize("junk", [1, ["a", 1], [["a"]]])
def test_a_damaged_record_is_named(junk: Any) -> None:
    damaged = events([("x", ["a"], ["b"])])
    damaged[1]["choices"][0]["consultations"][0]["candidate"] = junk
    with pytest.raises(InputError, match="record 0 of the trail"):
        shadow(damaged)
