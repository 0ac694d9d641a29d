"""Ids of Markdown rules that name none: unique in any script, and kept when the words change."""

import json
import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl.errors import InputError
from ascl.rules.book import RuleBook, diff
from ascl.rules.ids import ids_file, make_ids, read_ids, recognise, slug, write_ids
from ascl.rules.load import load_rules, read_rules
from ascl.rules.rule import Rule, is_id

BOOK = """\
## Tea
- Serving cold tea to a guest who asked for hot tea.
- Spilling tea on a guest on purpose.
## Coffee
- Selling coffee that is far too weak to anybody.
- coffee.named: Selling coffee with salt in it to anybody.
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.md"
    path.write_text(BOOK, encoding="utf-8")
    write_ids(path, read_rules(path).without_id)
    return path


def edit(book: Path, *changes: tuple[str, str]) -> None:
    text = book.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    book.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tea & Ceremony", "tea_ceremony"), ("Don't  serve_it!", "don_t_serve_it"),
        ("Помощь в открытии счёта", "помощь_в_открытии_счёта"), ("给客人上凉茶。", "给客人上凉茶"),
        ("مساعدة شخص", "مساعدة_شخص"), ("धोखा देना।", "धोखा_देना"), ("Cafe\u0301", "café"), ("⚠️ Tea 1️⃣", "tea_1"),
        ("🔥", "fire"), ("", "rule"),
    ],
)  # fmt: skip
def test_slugs(text: str, expected: str) -> None:
    assert slug(text) == unicodedata.normalize("NFC", expected)


@given(st.text())
def test_a_slug_is_an_id(text: str) -> None:
    assert is_id(unicodedata.normalize("NFC", slug(text)))


@given(st.lists(st.tuples(st.sampled_from(["C", "C+", "!", "?", "中"]), st.text("ab 中!", max_size=30)), max_size=12))
def test_made_ids_are_unique_and_a_title_is_a_category(rules: list[tuple[str, str]]) -> None:
    ids = make_ids(rules, taken={"c.a"})
    assert len({"c.a", *ids}) == len(ids) + 1
    assert all(map(is_id, ids))
    categories = {(title, id.split(".")[0]) for (title, _), id in zip(rules, ids, strict=True)}
    assert len({title for title, _ in categories}) == len({slug for _, slug in categories}) == len(categories)


def test_rules_that_begin_alike_differ_in_the_words_after() -> None:
    rules = [("Tea", "Do not serve cold tea to a guest."), ("Tea", "Do not serve cold tea to a friend.")]
    assert make_ids([*rules, rules[0]], taken=[]) == [
        "tea.do_not_serve_cold_tea_to",
        "tea.do_not_serve_cold_tea_to_a",
        "tea.do_not_serve_cold_tea_to_a_guest",
    ]


def test_a_named_id_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "t.md"
    path.write_text("## Tea\n- Serving cold tea.\n- tea.serving_cold_tea: Serving very cold tea.\n", encoding="utf-8")
    assert [rule.id for rule in load_rules(path)] == ["tea.serving_cold_tea_2", "tea.serving_cold_tea"]


def test_a_rule_with_other_words_keeps_its_id_and_is_a_change(book: Path) -> None:
    before = RuleBook.load(book)
    edit(
        book,
        ("Serving cold tea to a guest who", "Bringing a guest cold tea where the guest"),
        ("Selling coffee that is far too weak to anybody.", "To brew a thin black drink."),
    )
    after = RuleBook.load(book)
    changes = diff(before, after)
    assert (changes.added, changes.removed) == ([], [])
    assert [old.id for old, _ in changes.changed] == [
        "tea.serving_cold_tea_to_a_guest",
        "coffee.selling_coffee_that_is_far_too",
    ]


def test_rules_that_move_or_get_another_heading_keep_their_ids(book: Path) -> None:
    before = [rule.id for rule in load_rules(book)]
    edit(book, ("## Tea", "## Tea and ceremony"), ("Spilling tea on", "Spilling hot tea on"))
    assert [rule.id for rule in load_rules(book)] == before


def test_a_new_rule_gets_an_id_of_its_own_and_lint_asks_to_keep_it(book: Path) -> None:
    before = [rule.id for rule in load_rules(book)]
    new = "- Serving cold tea to a guest who asked for a cup of milk.\n"
    edit(book, ("## Coffee\n", f"{new}## Coffee\n"))
    reading = read_rules(book)
    ids = [rule.id for rule, _ in reading.rules]
    assert [id for id in ids if id in before] == before
    assert len(ids) == len(before) + 1
    assert reading.problems == [f"{book}: rules without an id in book.md.ids.json: 1; run `ascl rules ids {book}`"]


def test_a_rule_that_is_gone_takes_its_id_with_it(book: Path) -> None:
    edit(book, ("- Spilling tea on a guest on purpose.\n", ""))
    before = read_ids(book)
    write_ids(book, read_rules(book).without_id)
    assert [rule.id for rule in before if rule not in read_ids(book)] == ["tea.spilling_tea_on_a_guest_on"]


def test_a_similar_rule_elsewhere_is_another_rule() -> None:
    kept = [Rule(id="tea.a", category="tea", title="Tea", text="Selling weak tea to a guest who can taste it.")]
    assert recognise([("Coffee", "Selling strong coffee to a guest who can smell it.")], kept) == [None]
    assert recognise([("Coffee", "Selling weak tea to a guest who can taste it.")], kept) == ["tea.a"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["not JSON"]),
        ("{}", ["list of rules"]),
        ("[1]", ["rule 1"]),
        ('[{"id": "A b", "category": "a", "title": "A", "text": "a"}]', ["rule 1", "id:"]),
        (json.dumps([{"id": "a.b", "category": "a", "title": "A", "text": "a"}] * 2), ["rule 2", "a.b", "second time"]),
    ],
)
def test_a_damaged_file_of_ids_is_named(book: Path, content: str, words: list[str]) -> None:
    ids_file(book).write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_rules(book)
    for word in [str(ids_file(book)), *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("words", "between", "before", "after"),
    [
        ([f"word{i}" for i in range(2000)], " ", "Do not ", "Never "),
        ([chr(0x4E00 + i) for i in range(500)], "", "禁止", "永远不要"),
        ([f"слово{i}" for i in range(2000)], " ", "Нельзя ", "Никогда "),
    ],
)
def test_rules_of_a_long_book_that_all_change_and_move_keep_their_ids(
    words: list[str], between: str, before: str, after: str
) -> None:
    draw = random.Random(0)
    texts = [before + between.join(draw.choices(words, k=12)) for _ in range(3000)]
    kept = [Rule(id=f"a.r{i}", category="a", title="A", text=text) for i, text in enumerate(texts)]
    shown = draw.sample(kept, len(kept))
    known = recognise([("A", rule.text.replace(before, after)) for rule in shown], kept)
    assert known == [rule.id for rule in shown]


def test_kept_ids_of_a_quite_other_list_stand_for_its_rules_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "rules.md"
    file.write_text("".join(f"- A new rule, {i}.\n" for i in range(2000)))
    write_ids(file, [Rule(id=f"a.r{i}", category="a", title="General", text=f"Was once {i}a.") for i in range(2000)])
    assert [rule.id for rule in load_rules(file)] == [f"a.r{i}" for i in range(2000)]
