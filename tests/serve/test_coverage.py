"""Which rules are used: counts against a plain count, dead rules by name, unused and unreachable told apart."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule
from ascl.serve.trail.consultations import Recorded
from ascl.serve.trail.coverage import ENOUGH, coverage, unreachable

IDS = ["a.a", "a.b", "a.c", "a.d"]
BOOK = RuleBook([Rule(id=id, category="a", title="Tea", text=f"Serving {id[-1] * 3} to a guest.") for id in IDS])

found_rules = st.lists(st.sampled_from([*IDS, "b.old"]), unique=True, max_size=4).map(tuple)
past = st.lists(
    st.builds(
        Recorded,
        answer=st.sampled_from(["r1 0", "r2 0", "r3 1"]),
        at=st.integers(0, 100).map(float),
        version=st.sampled_from(["v1", "v2"]),
        rules=found_rules,
        ending=st.just("answered"),
        query=st.none(),
        top_k=st.none(),
    ),
    max_size=30,
).map(lambda rows: sorted(rows, key=lambda one: one.answer))


@settings(deadline=None)
@given(past)
def test_counts_are_those_of_a_plain_count(rows: list[Recorded]) -> None:
    found = coverage(rows, BOOK, 3)
    assert found.consultations == len(rows) == sum(found.versions.values())
    assert list(found.rules) == IDS
    assert found.never == [id for id in IDS if not any(id in one.rules for one in rows)]
    assert found.never_below == (min(1.0, 3 / len(rows)) if rows else None)
    count = sum("b.old" in one.rules for one in rows)
    assert found.others == ({"b.old": count} if count else {})
    for id, use in found.rules.items():
        of = [one for one in rows if id in one.rules]
        ranks = [one.rules.index(id) + 1 for one in of]
        assert use.retrieved == len(of)
        assert use.mean_rank == (sum(ranks) / len(ranks) if of else None)
        assert use.last == max((one.at for one in of), default=None)
        assert sum(use.endings.values()) == len({one.answer for one in of})
        first = [set(one.rules[: rank - 1]) for one, rank in zip(of, ranks, strict=True)]
        assert use.outranked_by == (sorted(set.intersection(*first)) if len(of) >= ENOUGH else [])


def test_a_known_dead_rule_is_named() -> None:
    book = RuleBook.load()
    dead = book.rules[17].id
    dice, rows = random.Random(5), []
    for number in range(400):
        rule = dice.choice([rule for rule in book.rules if rule.id != dead])
        rules = tuple(one.id for one, _ in book.search(rule.text, 5) if one.id != dead)[:3]
        rows.append(Recorded(f"r{number} 0", float(number), "v1", rules, "answered", None, 3))
    found = coverage(rows, book, 3)
    assert dead in found.never
    assert found.never_below == 3 / 400
    assert found.unreachable == [], "it is unused, but its words find it"


def test_a_rule_that_always_comes_after_another_is_outranked() -> None:
    rows = [Recorded(f"r{n} 0", 0.0, "v1", ("a.a", "a.b"), "answered", None, None) for n in range(ENOUGH)]
    found = coverage(rows, BOOK, 3)
    assert found.rules["a.b"].outranked_by == ["a.a"]
    assert found.rules["a.a"].outranked_by == []
    assert coverage(rows[1:], BOOK, 3).rules["a.b"].outranked_by == [], "too few to say so"


def test_a_rule_that_no_words_of_its_own_find_is_unreachable() -> None:
    twin = BOOK.rules[0].model_copy(update={"id": "a.twin", "title": "Bread"})
    wordless = Rule(id="a.it", category="a", title="You", text="You must not do it.")
    book = RuleBook([*BOOK.rules, twin, wordless])
    assert unreachable(book, 1) == ["a.twin", "a.it"]
    assert unreachable(book, 2) == ["a.it"]
    titled = twin.model_copy(update={"id": "a.last", "text": "Serving bbb to the guest, dear.", "title": "Dear"})
    assert unreachable(RuleBook([*BOOK.rules, titled]), 1) == [], "its title finds it"


def test_the_shipped_rules_are_all_reachable() -> None:
    assert unreachable(RuleBook.load(), 1) == []


def test_endings_count_answers_and_not_consultations() -> None:
    rows = [Recorded(answer, 0.0, "v1", ("a.a",), ending, None, None) for answer, ending in ENDED]
    assert coverage(rows, BOOK, 3).rules["a.a"].endings == {"answered": 1, "aborted": 1}


ENDED = [("r1 0", "answered"), ("r1 0", "answered"), ("r2 0", "aborted")]
