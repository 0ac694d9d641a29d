"""The default book, the hash, the comparison and the lint of rule books."""

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl.rules.book import RuleBook, diff, lint
from ascl.rules.rule import Rule

# arXiv 2602.13562, its list of categories.
PAPER_TITLES = {
    "Violence & Weapons", "Sexual Content & Exploitation", "Privacy & Personal Data", "Suicide & Self-Harm",
    "Harassment", "Bias & Discrimination", "Illegal Activities", "Political Disinformation", "Financial Crimes",
    "Impersonation", "Infrastructure Attacks", "Gambling", "Defamation", "Copyright Violations",
    "Jailbreaking & Security Bypass", "Unsafe Expert Advice", "General Unethical Behavior", "Harm to Minors",
    "Animal Cruelty", "Environmental Harm", "Biosafety Ethics",
}  # fmt: skip


def rule(identity: str, text: str = "Serving cold tea to a guest.", title: str = "Tea") -> Rule:
    return Rule(id=identity, category=identity.split(".")[0], title=title, text=text)


def test_the_default_book_covers_the_papers_categories() -> None:
    book = RuleBook.load()
    assert set(book.titles) == PAPER_TITLES
    assert len(book.titles) == 21
    assert len(book.rules) >= 107
    assert len({r.id for r in book.rules}) == len(book.rules)
    assert len({r.text for r in book.rules}) == len(book.rules)
    assert all(r.id.startswith(f"{r.category}.") for r in book.rules)
    assert len({r.category for r in book.rules}) == 21


def test_the_default_book_is_lint_clean() -> None:
    assert lint(RuleBook.load()) == []


def test_the_default_books_rules_and_their_order_are_what_runs_were_made_with() -> None:
    book = RuleBook.load()
    assert book.hash == "075463104227f643"
    order = hashlib.sha256("\n".join(rule.id for rule in book.rules).encode()).hexdigest()
    assert (len(book.rules), order[:16]) == (126, "c8dd9e2c0ddb79ba")


def test_the_hash_does_not_see_the_order() -> None:
    rules = RuleBook.load().rules
    shuffled = random.Random(0).sample(rules, len(rules))
    assert shuffled != rules
    assert RuleBook(shuffled).hash == RuleBook(rules).hash


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5), st.data())
def test_the_hash_sees_every_edit(texts: list[str], data: st.DataObject) -> None:
    rules = [rule(f"tea.r{i}", text) for i, text in enumerate(texts)]
    place = data.draw(st.integers(0, len(rules) - 1))
    edited = [*rules]
    edited[place] = rules[place].model_copy(update={"text": rules[place].text + "!"})
    renamed = [*rules]
    renamed[place] = rules[place].model_copy(update={"id": "tea.other"})
    titled = [*rules]
    titled[place] = rules[place].model_copy(update={"title": rules[place].title + "!"})
    moved = [*rules]
    moved[place] = rules[place].model_copy(update={"category": "coffee"})
    versions = [rules, edited, renamed, titled, moved, [*rules, rule("tea.new")], rules[1:]]
    hashes = [RuleBook(version).hash for version in versions]
    assert len(set(hashes)) == len(hashes)
    assert all(len(h) == 16 and set(h) <= set("0123456789abcdef") for h in hashes)


def test_diff_lists_what_was_added_removed_and_changed() -> None:
    kept, gone, old = rule("tea.kept"), rule("tea.gone"), rule("tea.edited")
    new, fresh = rule("tea.edited", "Serving boiling tea to a guest."), rule("tea.fresh")
    changes = diff(RuleBook([kept, gone, old]), RuleBook([new, fresh, kept]))
    assert (changes.added, changes.removed, changes.changed) == ([fresh], [gone], [(old, new)])


def test_diff_sees_a_new_title() -> None:
    before, after = rule("tea.a"), rule("tea.a", title="Hot drinks")
    assert diff(RuleBook([before]), RuleBook([after])).changed == [(before, after)]


def test_diff_of_a_book_with_itself_is_empty_in_any_order() -> None:
    book = RuleBook.load()
    changes = diff(book, RuleBook(book.rules[::-1]))
    assert (changes.added, changes.removed, changes.changed) == ([], [], [])


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ([rule("tea.a", "Too short.")], "tea.a: 2 words; a rule has 5 to 40"),
        ([rule("tea.a", "word " * 40 + "word.")], "tea.a: 41 words; a rule has 5 to 40"),
        ([rule("tea.a", "Serving cold tea to a guest")], "tea.a: does not end with a full stop"),
        ([rule("tea.a", "Serving cold tea. Or no tea at all.")], "tea.a: more than one sentence"),
        (
            [Rule(id="cup.a", category="tea", title="Tea", text="Serving cold tea to a guest.")],
            "cup.a: the id does not start with its category `tea`",
        ),
        ([rule("tea.a"), rule("tea.b", "To a guest, serving cold tea.")], "tea.b: same words as tea.a"),
    ],
)
def test_lint_names_the_rule_and_the_problem(rules: list[Rule], problem: str) -> None:
    assert lint(RuleBook(rules)) == [problem]


@pytest.mark.parametrize(
    "text", ["禁止给客人端上冷掉的茶水。", "Подавать гостю холодный чай запрещено.", "अतिथि को ठंडी चाय पिलाना।"]
)
def test_lint_counts_words_and_knows_full_stops_in_any_script(text: str) -> None:
    assert lint(RuleBook([rule("tea.a", text)])) == []
