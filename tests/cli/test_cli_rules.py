"""`ascl rules`: what is printed, and the exit codes that scripts go by."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ascl.rules.book import RuleBook

Ascl = Callable[..., tuple[int, str]]
BOOK = RuleBook.load()
ONE = "id,category,text\ntea.cold,tea,Serving cold tea to a guest.\ntea.none,tea,Serving no tea to a guest.\n"
OTHER = "id,category,text\ntea.cold,tea,Serving tepid tea to a guest.\ntea.hot,tea,Serving boiling tea to a guest.\n"


@pytest.fixture
def books(folder: Path) -> None:
    (folder / "one.csv").write_text(ONE, encoding="utf-8")
    (folder / "other.csv").write_text(OTHER, encoding="utf-8")


def test_lint_of_the_default_book(ascl: Ascl) -> None:
    code, printed = ascl("rules", "lint")
    assert code == 0
    assert printed.splitlines() == [
        f"seen: 21 files, {len(BOOK.rules)} list items",
        f"{len(BOOK.rules)} rules in 21 categories, hash {BOOK.hash}, 0 problem(s)",
    ]


def test_lint_lists_problems_and_fails(ascl: Ascl, folder: Path) -> None:
    (folder / "bad.csv").write_text("id,category,text\ntea.cold,tea,Cold tea\n", encoding="utf-8")
    code, printed = ascl("rules", "lint", "bad.csv")
    assert code == 1
    assert printed.splitlines()[:2] == [
        "tea.cold: 2 words; a rule has 5 to 40",
        "tea.cold: does not end with a full stop",
    ]
    assert printed.endswith("2 problem(s)\n")


def test_lint_says_what_it_saw_and_what_is_no_rule(ascl: Ascl, folder: Path) -> None:
    (folder / "tea.md").write_text(
        "- [Tea](#tea)\n\n## Tea\n- Serving cold tea to a guest.\n\n• Serving no tea to a guest.\n", encoding="utf-8"
    )
    code, printed = ascl("rules", "lint", "tea.md")
    assert code == 1
    assert printed.splitlines()[:-1] == [
        "tea.md, line 6: looks like a list item, but Markdown takes it for text; "
        "put an empty line before it and begin it with `- ` or `1. `",
        "note: tea.md, line 1: a list item that is no rule: it is only a link",
        "note: tea.md: ids made of a rule's words: 1; `ascl rules ids tea.md` keeps them when the words change",
        "seen: 1 file, 2 list items",
    ]


def test_ids_are_kept_so_that_diff_shows_a_change(ascl: Ascl, folder: Path) -> None:
    old, new = folder / "old.md", folder / "new.md"
    for file in (old, new):
        file.write_text("## Tea\n- Serving cold tea to a guest.\n- tea.none: Serving no tea.\n", encoding="utf-8")
    assert ascl("rules", "ids", "new.md") == (0, "new.md.ids.json: 0 ids kept, 1 new, 0 gone\n")
    new.write_text("## Tea\n- Giving cold tea to a guest.\n- Giving a guest a broken cup.\n", encoding="utf-8")
    code, printed = ascl("rules", "diff", "old.md", "new.md")
    assert code == 1
    assert printed.splitlines() == [
        "- tea.none: Serving no tea.",
        "+ tea.giving_a_guest_a_broken_cup: Giving a guest a broken cup.",
        "~ tea.serving_cold_tea_to_a_guest: Serving cold tea to a guest.",
        "    -> Giving cold tea to a guest.",
    ]
    assert ascl("rules", "ids", "new.md") == (0, "new.md.ids.json: 1 ids kept, 1 new, 0 gone\n")


def test_search_prints_rank_similarity_and_id(ascl: Ascl) -> None:
    code, printed = ascl("rules", "search", "fake passport", "--top-k", "2")
    expected = [
        f"{rank}. ({100 * similarity:.1f}%) {rule.id}: {rule.shown}"
        for rank, (rule, similarity) in enumerate(BOOK.search("fake passport", 2), start=1)
    ]
    assert (code, printed.splitlines()) == (0, expected)
    assert len(expected) == 2


def test_search_in_an_own_book(ascl: Ascl, books: None) -> None:
    code, printed = ascl("rules", "search", "cold", "--rules", "one.csv")
    assert code == 0
    assert "tea.cold: Serving cold tea to a guest." in printed
    assert len(printed.splitlines()) == 1


def test_search_that_finds_nothing_says_so(ascl: Ascl) -> None:
    assert ascl("rules", "search", "zxqv") == (0, "no rule is about this\n")


def test_show_prints_every_rule_under_its_title(ascl: Ascl) -> None:
    code, printed = ascl("rules", "show")
    lines = printed.splitlines()
    assert code == 0
    assert [line for line in lines if line.startswith("  ")] == [f"  {rule.id}: {rule.shown}" for rule in BOOK.rules]
    assert [line for line in lines if line and not line.startswith(" ")] == BOOK.titles


def test_show_one_category(ascl: Ascl) -> None:
    code, printed = ascl("rules", "show", "default", "--category", "gambling")
    assert code == 0
    assert printed.splitlines()[:2] == ["", "Gambling"]
    assert printed.count("  gambling.") == sum(rule.category == "gambling" for rule in BOOK.rules)


def test_diff_prints_what_changed_and_says_so_by_its_exit_code(ascl: Ascl, books: None) -> None:
    code, printed = ascl("rules", "diff", "one.csv", "other.csv")
    assert code == 1
    assert printed.splitlines() == [
        "- tea.none: Serving no tea to a guest.",
        "+ tea.hot: Serving boiling tea to a guest.",
        "~ tea.cold: Serving cold tea to a guest.",
        "    -> Serving tepid tea to a guest.",
    ]


def test_diff_shows_a_title_that_changed(ascl: Ascl, folder: Path) -> None:
    for name, title in (("a.csv", "Tea"), ("b.csv", "Drinks")):
        (folder / name).write_text(f"id,category,title,text\ntea.cold,tea,{title},Cold tea.\n", encoding="utf-8")
    code, printed = ascl("rules", "diff", "a.csv", "b.csv")
    assert (code, printed) == (1, "~ tea.cold: category tea (Tea)\n    -> tea (Drinks)\n")


def test_diff_of_equal_books_is_quiet(ascl: Ascl, books: None) -> None:
    assert ascl("rules", "diff", "one.csv", "one.csv") == (0, "")


def test_faults_are_one_line(complaint: Callable[..., str], folder: Path) -> None:
    (folder / "bad.yaml").write_text("category: tea\nrules: [\n", encoding="utf-8")
    (folder / "twice.csv").write_text(ONE + "tea.cold,tea,Again.\n", encoding="utf-8")
    assert complaint("rules", "lint", "none") == (
        "none: no such rule book; name `default`, a folder of YAML, a .yaml, .csv or .md file"
    )
    assert complaint("rules", "lint", "bad.yaml").startswith("bad.yaml, line 3: not YAML (")
    assert complaint("rules", "ids", "twice.csv").startswith("twice.csv: ids are kept for a Markdown list")
    assert complaint("rules", "search", "tea", "--rules", "twice.csv") == (
        "twice.csv, line 4: rule id tea.cold is already used at twice.csv, line 2; ids must be unique"
    )
    assert complaint("rules", "show", "default", "--category", "tea").startswith(
        "--category tea: no such category; there are animals, bias, "
    )
    assert complaint("rules", "diff", "none", "default").startswith("none: no such rule book")


def test_a_search_server_that_is_not_there_is_one_line(
    complaint: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    line = complaint("rules", "search", "tea", "--embedding-model", "endpoint:x")
    assert line.startswith("embedding model endpoint:x at http://127.0.0.1:9/v1")
