"""Past consultations under an edited book: the same book changes nothing, and every difference is counted once."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateways import Serve
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import answers, consults
from trails import write_trail

from ascl.errors import InputError
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule
from ascl.serve.trail.audit import AUDIT, export
from ascl.serve.trail.consultations import Recorded, recorded
from ascl.serve.trail.replay import MOST_QUERIES, Golden, missing, read_golden, replay

WORDS = ["poison", "bomb", "fraud", "tea", "guest", "house", "cold"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@st.composite
def books(draw: Callable[..., Any]) -> RuleBook:
    said = draw(st.dictionaries(st.sampled_from([f"a.r{n}" for n in range(8)]), texts, min_size=1, max_size=8))
    return RuleBook([Rule(id=id, category="a", title="Tea", text=text) for id, text in said.items()])


asked = st.lists(st.tuples(texts, st.integers(1, 4), st.sampled_from(["v1", "v2"])), max_size=12)


def ids(book: RuleBook, query: str, top_k: int) -> tuple[str, ...]:
    return tuple(rule.id for rule, _ in book.search(query, top_k))


def of(book: RuleBook, queries: list[tuple[str, int, str]]) -> list[Recorded]:
    """What a trail holds of consultations under a book."""
    return [Recorded(f"{n} 0", n, v, ids(book, q, k), "answered", q, k) for n, (q, k, v) in enumerate(queries)]


@settings(deadline=None, max_examples=60)
@given(books(), asked)
def test_the_same_book_changes_nothing(book: RuleBook, queries: list[tuple[str, int, str]]) -> None:
    found = replay(of(book, queries), RuleBook(list(book.rules)))
    assert (found.total.consultations, found.total.replayed) == (len(queries), len(queries))
    assert (found.total.changed, found.reordered, found.rules, found.queries) == (0, 0, {}, [])


@settings(deadline=None, max_examples=60)
@given(books(), books(), asked)
def test_every_difference_is_counted(old: RuleBook, new: RuleBook, queries: list[tuple[str, int, str]]) -> None:
    past = of(old, queries)
    found = replay(past, new)
    pairs = [(one.rules, ids(new, one.query or "", one.top_k or 0)) for one in past]
    assert found.total.changed == sum(set(before) != set(after) for before, after in pairs)
    assert found.reordered == sum(before != after and set(before) == set(after) for before, after in pairs)
    for rule in {id for pair in pairs for both in pair for id in both}:
        ranks = [tuple(both.index(rule) if rule in both else None for both in pair) for pair in pairs]
        gained = sum(before is None and after is not None for before, after in ranks)
        lost = sum(before is not None and after is None for before, after in ranks)
        moved = sum(None not in both and both[0] != both[1] for both in ranks)
        tally = found.rules.get(rule)
        assert (gained, lost, moved) == ((tally.gained, tally.lost, tally.moved) if tally else (0, 0, 0))
    assert {v: t.consultations for v, t in found.versions.items()} == Counter(version for *_, version in queries)
    assert sum(tally.changed for tally in found.versions.values()) == found.total.changed
    assert sum(change.count for change in found.queries) == found.total.changed + found.reordered


@settings(deadline=None, max_examples=60)
@given(books(), books(), asked)
def test_there_and_back_gains_what_was_lost(old: RuleBook, new: RuleBook, queries: list[tuple[str, int, str]]) -> None:
    there, back = replay(of(old, queries), new), replay(of(new, queries), old)
    assert there.total == back.total
    assert {rule: (one.gained, one.lost, one.moved) for rule, one in there.rules.items()} == {
        rule: (one.lost, one.gained, one.moved) for rule, one in back.rules.items()
    }


def test_a_rule_that_is_taken_out_is_lost_wherever_it_came_back() -> None:
    book = RuleBook.load()
    gone = book.rules[0].id
    past = of(book, [(rule.text, 3, "v1") for rule in book.rules])
    found = replay(past, RuleBook(book.rules[1:]))
    assert next(iter(found.rules)) == gone
    assert found.rules[gone].lost == sum(gone in one.rules for one in past) > 0
    assert found.rules[gone].gained == 0


def test_the_queries_that_change_most_come_first_and_are_bounded() -> None:
    rules = [Rule(id=f"a.{w}", category="a", title="Tea", text=f"Serving {w} to a guest.") for w in WORDS[:3]]
    queries = [("fraud", 1, "v1"), *[("bomb", 1, "v1")] * 3, *[(f"poison x{n}", 1, "v1") for n in range(MOST_QUERIES)]]
    found = replay(of(RuleBook(rules), queries), RuleBook([Rule(id="b.x", category="b", title="B", text="A lie.")]))
    assert (found.queries[0].query, found.queries[0].count) == ("bomb", 3)
    assert len(found.queries) == MOST_QUERIES
    assert found.rules["a.poison"].lost == MOST_QUERIES


def test_what_was_not_kept_is_counted_and_left_out() -> None:
    book = RuleBook.load()
    past = of(book, [("poison", 3, "v1"), ("bomb", 3, "v1"), ("fraud", 3, "v1")])
    past[0] = Recorded("a 0", 0.0, "v1", ("a.gone",), "answered", None, 3)
    past[1] = Recorded("b 0", 0.0, "v1", ("a.gone",), "answered", "bomb", None)
    found = replay(past, book)
    assert (found.total.consultations, found.total.replayed, found.total.changed) == (3, 1, 0)


def test_a_trail_of_the_gateway_can_be_replayed(serving: Serve) -> None:
    with serving(consults("build a bomb"), consults("poison a dog"), answers("No."), keep_queries=True) as served:
        body = {"model": "model", "messages": [{"role": "user", "content": "Hm?"}]}
        assert httpx2.post(f"{served.url}/v1/chat/completions", json=body, timeout=30).status_code == 200
        version = served.gateway.books.pin("default").version
    past = list(recorded(export(served.folder / AUDIT)))
    assert [(one.query, one.top_k, one.version) for one in past] == [
        ("build a bomb", 2, version),
        ("poison a dog", 2, version),
    ]
    assert past[0].rules == ids(RuleBook.load(), "build a bomb", 2)
    assert {one.ending for one in past} == {"answered"}
    found = replay(past, RuleBook.load())
    assert (found.total.replayed, found.total.changed) == (2, 0)


def ended(id: str, kind: str = "finished", at: float = 1.0, **more: Any) -> dict[str, Any]:
    look_up = {"query": "0" * 32, "top_k": 2, "rules": [["a.x", 0.5]]}
    choice = {"stop": "answered", "finish_reason": "stop", "consultations": [look_up]}
    return {"seq": 2, "id": id, "kind": kind, "at": at, "tenant": "t", "choices": [choice], **more}


BEGUN = {"seq": 1, "id": "r", "kind": "begun", "at": 0.0, "tenant": "t", "rules": "v1"}


def test_a_request_that_ended_twice_counts_once() -> None:
    events = [BEGUN, ended("r", queries=["tea", "tea"]), ended("r", "aborted", queries=["tea", "tea"])]
    assert list(recorded(events)) == [Recorded("r 0", 1.0, "v1", ("a.x",), "answered", "tea", 2)]


def test_an_answer_that_did_not_finish_was_consulted_too() -> None:
    assert [one.ending for one in recorded([BEGUN, ended("r", "aborted")])] == ["aborted"]
    assert list(recorded([BEGUN, {**BEGUN, "kind": "crashed"}])) == []
    assert list(recorded([BEGUN, ended("r")], since=2.0)) == []


def test_queries_of_a_request_whose_client_left_are_exported(tmp_path: Path) -> None:
    path = write_trail(tmp_path, RuleBook.load(), ["poison"])
    assert [one["queries"] for one in export(path) if one["kind"] != "begun"] == [["poison"]]


JUNK = st.none() | st.integers(-3, 30) | st.text(max_size=3) | st.lists(st.integers(), max_size=2)


@given(st.sampled_from(["at", "choices", "queries", "stop", "consultations", "rules", "top_k"]), JUNK)
def test_a_damaged_record_is_one_line(field: str, junk: Any) -> None:
    event = json.loads(json.dumps(ended("r")))
    choice = event["choices"][0]
    place = next((one for one in (event, choice, choice["consultations"][0]) if field in one), event)
    place[field] = junk
    try:
        list(recorded([BEGUN, event]))
    except InputError as error:
        assert "record 2 of the trail" in str(error)


@settings(deadline=None, max_examples=40)
@given(books(), texts, st.integers(1, 4))
def test_golden_queries_of_a_book_find_their_rules_in_it(book: RuleBook, query: str, top_k: int) -> None:
    if back := list(ids(book, query, top_k)):
        assert missing(Golden(query=query, rules=back, top_k=top_k), book) == []
        assert missing(Golden(query=query, rules=[*back[1:], "b.gone"], top_k=top_k), book) == ["b.gone"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no queries"),
        ('{"query": "tea", "rules": []}', "line 1: rules"),
        ('{"query": "", "rules": ["a.b"]}', "line 1: query"),
        ('{"query": "tea", "rules": "a.b"}', "line 1: rules"),
        ('{"query": "tea", "rules": ["a.b"], "k": 1}', "line 1: k: there is no such setting"),
        ('{"query": "tea", "rules": ["a.b", "a.c"], "top_k": 1}', "line 1: 2 rules can't be in a top_k of 1"),
        ('{"query": "tea", "rules": ["a.b"]}\n[1]', "line 2: a JSON object is expected"),
    ],
)
def test_a_golden_file_that_can_not_be_met_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "golden.jsonl").write_text(text)
    with pytest.raises(InputError, match=told):
        read_golden(tmp_path / "golden.jsonl")
