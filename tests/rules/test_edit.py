"""An edited rule book, rules with exemptions, and what of both a model is shown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl.chat.messages import Message
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import EDITED, TOOL_NAME, ConsultTool
from ascl.consult.variants import MOST_TOPICS, topics, with_rules
from ascl.errors import InputError
from ascl.rules.book import RuleBook
from ascl.rules.edit import BookEdit
from ascl.rules.rule import Rule


def rule(id: str, text: str = "Serving cold tea.", title: str = "", exempt: str = "") -> Rule:
    return Rule(id=id, category=id.split(".")[0], title=title or id.split(".")[0], text=text, exempt=exempt)


BOOK = RuleBook([rule("tea.cold"), rule("tea.hot", "Spilling hot tea."), rule("cake.old", "Selling old cake.")])
ODDS = rule("betting.odds", "Advice on betting odds.", "Betting")


def test_an_edit_leaves_out_rules_and_categories_and_adds_or_replaces() -> None:
    assert [r.id for r in BOOK.edited(BookEdit(without=("tea.cold",), add=(ODDS,))).rules] == [
        "tea.hot", "cake.old", "betting.odds",
    ]  # fmt: skip
    assert [r.id for r in BOOK.edited(BookEdit(without=("tea.*",))).rules] == ["cake.old"]
    other = rule("tea.cold", "Serving tea without milk.")
    assert [r.text for r in BOOK.edited(BookEdit(add=(other,))).rules if r.id == "tea.cold"] == [other.text]
    assert BOOK.edited(BookEdit()).hash == BOOK.hash


def call(tool: ConsultTool, query: str, edit: BookEdit | None = None) -> str:
    walked = start("p", [Message(role="user", content="?")], book=edit)
    advance(walked, Turn("", "I look.", [ParsedCall(TOOL_NAME, {"query": query})]), tool)
    return walked.messages[-1].content


def test_a_trajectory_consults_its_own_book() -> None:
    tool = ConsultTool(BOOK)
    assert "betting odds" not in call(tool, "betting odds")
    assert "Advice on betting odds." in call(tool, "betting odds", BookEdit(add=(ODDS,)))
    assert "Selling old cake." in call(tool, "betting odds", BookEdit(add=(ODDS,), returned=(BOOK.rules[2],)))
    assert "betting odds" not in call(tool, "betting odds")  # the tool itself is what it was


def test_a_look_up_that_finds_nothing_returns_nothing_in_its_place() -> None:
    assert call(ConsultTool(BOOK), "zebra", BookEdit(returned=(ODDS,))) == "No rule is about this."


def test_a_tool_keeps_only_so_many_edited_books() -> None:
    tool = ConsultTool(BOOK)
    for number in range(EDITED + 5):
        tool.under(BookEdit(without=(f"a.b{number}",)))
    assert len(tool._edited) == EDITED
    assert tool.under(None) is tool


def test_exemptions_are_shown_with_their_rule_unless_they_are_off() -> None:
    book = RuleBook([rule("tea.cold", exempt="Iced tea in summer.")])
    shown = call(ConsultTool(book), "cold tea")
    assert shown.endswith("Serving cold tea. Allowed: Iced tea in summer.")
    assert "Allowed" not in call(ConsultTool(book, exemptions=False), "cold tea")
    assert book.hash != RuleBook([rule("tea.cold")]).hash


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.yaml", "category: tea\nrules:\n  - id: tea.cold\n    text: Serving cold tea.\n    exempt: Iced  tea.\n"),
        ("r.csv", "id,category,text,exempt\ntea.cold,tea,Serving cold tea.,Iced tea.\n"),
    ],
)
def test_exemptions_are_read_from_yaml_and_csv(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert [r.exempt for r in RuleBook.load(tmp_path / name).rules] == ["Iced tea."]


def test_an_exemption_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("category: tea\nrules:\n  - id: tea.cold\n    text: Cold tea.\n    exempt: [a]\n")
    with pytest.raises(InputError, match=r"rule 1: exempt"):
        RuleBook.load(tmp_path / "r.yaml")


def test_every_shipped_rule_says_what_it_allows() -> None:
    rules = RuleBook.load().rules
    assert len(rules) >= 126
    assert [r.id for r in rules if not 5 <= len(r.exempt.split()) <= 25 or not r.exempt.endswith(".")] == []


def test_the_system_text_names_the_topics_of_the_book_in_force() -> None:
    tool = ConsultTool(BOOK)
    (system, _) = with_rules("ascl", [Message(role="user", content="?")], tool.under(BookEdit(add=(ODDS,))))
    assert system.content.endswith("Topics of the rules: Betting, cake, tea.")
    (system, _) = with_rules("ascl", [Message(role="user", content="?")], ConsultTool(BOOK, topics=False))
    assert "Topics" not in system.content


@given(st.lists(st.text("abc", min_size=1, max_size=80), min_size=1, max_size=60, unique=True))
def test_topics_are_bounded_and_say_how_many_are_left_out(titles: list[str]) -> None:
    text = topics(RuleBook([rule(f"c{i}.r", title=title) for i, title in enumerate(titles)]))
    listed = text.removeprefix("Topics of the rules: ").removesuffix(".")
    names, _, more = listed.partition(" and ")
    shown = [name for name in names.split(", ") if name]
    assert len(names) <= MOST_TOPICS
    assert len(shown) + int(more.removesuffix(" more") or 0) == len(titles)
