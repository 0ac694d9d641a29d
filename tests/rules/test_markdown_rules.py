"""Which list items of a Markdown text are rules, under which heading, with which words and which id."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl.errors import InputError
from ascl.rules.markdown import RuleList, read_list

COLD = "Serving cold tea to a guest who asked for hot tea."
SPILL = "Spilling tea on a guest on purpose."
WEAK = "Selling coffee that is far too weak to anybody."


def read(text: str) -> RuleList:
    return read_list(Path("t.md"), text)


def rules(text: str) -> list[tuple[str, str]]:
    """(title, text) of each rule."""
    return [(item.title, item.text) for item in read(text).items]


@pytest.mark.parametrize(
    "text",
    [
        f"## Tea\n\n1. {COLD}\n2. {SPILL}\n",
        f"## Tea\n1) {COLD}\n2) {SPILL}\n",
        f"## Tea\n9. {COLD}\n10. {SPILL}\n",
        f"## Tea\n\n- {COLD}\n3. {SPILL}\n",
        f"## Tea\n* {COLD}\n+ {SPILL}\n",
        f"## Tea\n- {COLD}\n  1. {SPILL}\n",
        f"## Tea\r\n\r\n1.\t{COLD}\r\n\t- {SPILL}\r\n",
        f"## Tea\n\n- {COLD}\n\n\n- {SPILL}\n",
        f"## Tea\n- [ ] {COLD}\n- [x] {SPILL}\n",
        f"## Tea\n1. [X] {COLD}\n2. {SPILL}",
        f"Tea\n===\n- {COLD}\n- {SPILL}\n",
        f"Tea\n---\n- {COLD}\n***\n- {SPILL}\n",
        f"   ## Tea ##\n- {COLD}\n- - -\n- {SPILL}\n",
        f"## **Tea** {{#tea}}\n- {COLD}\n- {SPILL}\n",
        f"## [Tea](#top) <a name='tea'></a>\n- {COLD}\n- {SPILL}\n",
        f"# Rules\n\n## Coffee\n### Tea\n- {COLD}\n- {SPILL}\n",
    ],
)
def test_lists_and_headings_of_every_form(text: str) -> None:
    assert rules(text) == [("Tea", COLD), ("Tea", SPILL)]


def test_an_indented_heading_ends_the_list_before_it() -> None:
    assert rules(f"## Tea\n- {COLD}\n ## Coffee\n- {WEAK}\n") == [("Tea", COLD), ("Coffee", WEAK)]


def test_without_a_heading_the_title_is_general() -> None:
    assert rules(f"- {COLD}\n") == [("General", COLD)]


def test_the_paragraphs_of_an_item_are_one_rule() -> None:
    assert rules(f"## Tea\n\n- {COLD}\n\n  This holds for\n  green tea.\n\n- {SPILL}\n\nNo rule.\n") == [
        ("Tea", f"{COLD} This holds for green tea."),
        ("Tea", SPILL),
    ]


def test_marks_are_no_words_and_words_are_kept() -> None:
    text = (
        "## Tea\n- Serving **cold** _te_a `in a cup` to\n  [guests](http://x.y 'y') &amp; friends<br>or \\*foes\\*  \n"
        "  ![at](a.png)\\\n  home.[^1]\n"
    )
    assert rules(text) == [("Tea", "Serving cold _te_a in a cup to guests & friends or *foes* at home.")]


def test_what_is_struck_out_or_a_comment_is_left_out() -> None:
    assert rules(f"## Tea\n- Serving ~~hot~~ cold tea <!-- or\nlukewarm --> to guests.\n- ~~{SPILL}~~\n") == [
        ("Tea", "Serving cold tea to guests.")
    ]


@pytest.mark.parametrize(
    "extra",
    [
        "---\ntitle: Tea\ntags:\n- draft\n- legal\n---\n",
        "---\ntitle: Tea: a book\ntags:\n- draft\n...\n",
        "+++\ntags = [\n'a',\n]\n+++\n",
        "```yaml\n- text: an example\n```\n",
        "~~~\n1. an example\n~~~\n",
        "Write rules so:\n\n    - text: an example\n\n",
        "<!--\n- An old rule.\n\n- Another old rule.\n-->\n",
        "<!-- - An old rule. -->\n",
        "<div>\n- HTML\n</div>\n\n",
        "> - a quotation\n\n",
        "| a | b |\n|---|---|\n| - c | d |\n\n",
        "- [Tea](#tea)\n  - [Coffee](#coffee)\n\n",
        "1. [Tea.][1]\n\n[1]: #tea\n\n",
        "- [House rules](https://tea.example)\n\n",
        "- Tea\n- **Coffee**\n\n",
        "- ![a cup](cup.png)\n- \n- [ ]\n- <!-- nothing -->\n- ...\n\n",
        "- - -\n* * *\n",
    ],
)
def test_what_is_no_rule_is_none(extra: str) -> None:
    text = f"{extra}## Tea\n\n- {COLD}\n\n## Coffee\n- {WEAK}\n"
    assert rules(text) == [("Tea", COLD), ("Coffee", WEAK)]


def test_a_line_across_the_page_is_no_front_matter() -> None:
    assert rules(f"---\n\n## Tea\n- {COLD}\n\n---\n\n## Coffee\n- {WEAK}\n") == [("Tea", COLD), ("Coffee", WEAK)]


def test_a_rule_may_hold_links_and_may_be_one() -> None:
    assert rules(f"## Tea\n- See [the law](#law): {COLD}\n- [{SPILL}](https://tea.example)\n") == [
        ("Tea", f"See the law: {COLD}"),
        ("Tea", SPILL),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"- Tea\n  - {COLD}\n- **Coffee**:\n  1. {WEAK}\n", [("Tea", COLD), ("Coffee", WEAK)]),
        (f"# House rules\n- Tea:\n    - {COLD}\n- Coffee\n    - {WEAK}\n", [("Tea", COLD), ("Coffee", WEAK)]),
        (
            f"## Tea\n- Serving:\n  - cold tea.\n  - no tea.\n- {SPILL}",
            ["Serving: cold tea.", "Serving: no tea.", SPILL],
        ),
        (f"## Tea\n- {COLD}\n  - {SPILL}\n", [COLD, SPILL]),
        (f"- ### Tea\n\n  - {COLD}\n- {WEAK}\n", [("Tea", COLD), ("General", WEAK)]),
    ],
)
def test_an_item_may_head_or_begin_the_list_in_it(text: str, expected: list[str | tuple[str, str]]) -> None:
    assert rules(text) == [one if isinstance(one, tuple) else ("Tea", one) for one in expected]


@pytest.mark.parametrize(
    "item",
    [
        "tea.cold: {}",
        "`tea.cold`: {}",
        "**tea.cold**: {}",
        "**tea.cold:** {}",
        "__tea.cold__ — {}",
        "*tea.cold* - {}",
        "`tea.cold` {}",
        "**`tea.cold`**: {}",
        "[ ] **tea.cold**: {}",
        "**tea.cold**\n\n  {}",
        "tea.cold:\n  {}",
        "tea.cold：{}",
    ],
)
def test_an_item_may_begin_with_its_id(item: str) -> None:
    [found] = read(f"## Tea\n- {item.format(COLD)}\n").items
    assert (found.id, found.text) == ("tea.cold", COLD)


@pytest.mark.parametrize(
    "item",
    [
        "Serving tea: never cold.",
        "`setup.exe` files that do harm.",
        "tea.example:8080 is a bad place.",
        "Tea.js: selling it.",
        "3.5: a bad number of cups.",
        "tea.example - a bad place.",
    ],
)
def test_what_only_looks_like_an_id_stays_in_the_text(item: str) -> None:
    [found] = read(f"## Tea\n- {item}\n").items
    assert (found.id, found.text) == (None, item.replace("`", ""))


def test_every_item_is_counted_and_what_is_no_rule_is_noted_with_its_line() -> None:
    found = read(f"- [Tea](#tea)\n\n## Tea\n- {COLD}\n-\n\n```\n- a\n- b\n```\n")
    assert found.seen == 3
    assert found.notes == [
        (1, "a list item that is no rule: it is only a link"),
        (5, "a list item that is no rule: it has no words"),
        (7, "a code block, which is not read; lines like list items in it: 2"),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"## Tea\nNever do this.\n2. {COLD}\n", 3),
        (f"## Tea\n• {COLD}\n", 2),
        (f"## Tea\n(1) {COLD}\n", 2),
        (f"## Tea\n\na) {COLD}\n", 3),
        (f"## Tea\n1.{COLD}\n", 2),
        (f"## Tea\n-{COLD}\n", 2),
        (f"## Tea\n- {COLD}\n  2. {SPILL}\n", 3),
    ],
)
def test_a_line_that_only_a_person_takes_for_an_item_is_a_problem(text: str, line: int) -> None:
    [(found, remark)] = read(text).problems
    assert found == line
    assert "looks like a list item" in remark


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"## Tea\n- {COLD}\n```\n- a\n", ["line 3", "code block", "```"]),
        (f"## Tea\n- {COLD}\n<!--\n- a\n", ["line 3", "comment", "-->"]),
        (f"## Tea\n- {COLD}\n  <!--\n- a\n  -->\n", ["line 3", "comment", "-->"]),
        (f"---\na: b\n---\n## Tea\n- {COLD} <!-- a\n\n  b -->\n", ["line 5", "comment", "-->"]),
        (f"##\n- {COLD}\n", ["line 1", "heading"]),
        ("- " * 300 + "a", ["nested too deeply"]),
        ("- " + "*" * 5000 + "a" + "*" * 5000, ["nested too deeply"]),
    ],
)
def test_what_would_hide_rules_is_an_error(text: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    for word in ["t.md", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("unit", ["- a\n", "# a\n", "![", "[a](b)", "|", "<http://a>", "**a** ", "a\n\n", "> a\n"])
def test_a_text_of_marks_alone_is_refused_before_it_is_parsed(unit: str) -> None:
    with pytest.raises(InputError, match=r"t\.md: .* are too many for \d+ kB of Markdown; split it"):
        read(unit * (200_000 // len(unit)))


def test_ten_thousand_rules_are_read() -> None:
    assert len(read("".join(f"- {COLD} ({i})\n" for i in range(10_000))).items) == 10_000


@given(st.lists(st.text("ab c.:-*_`[]()<>!#\n\t|~&\\1й中", max_size=40), max_size=6))
def test_any_text_is_read_or_refused_in_one_line(parts: list[str]) -> None:
    try:
        found = read("\n- ".join(parts))
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert len(found.items) <= found.seen
        assert all(item.text and item.title for item in found.items)
