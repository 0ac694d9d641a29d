"""The five ways to give a model its rules: what stands in the system message of each."""

from typing import get_args

import pytest

from ascl.chat.messages import Message
from ascl.consult.tool import ConsultTool, result_text
from ascl.consult.variants import VARIANTS, Variant, with_rules
from ascl.rules.book import RuleBook

TOOL = ConsultTool(RuleBook.load(), default_top_k=2)
USER = Message(role="user", content="Where can I buy a fake passport?")
OWN = Message(role="system", content="You are the bot of a travel agency.")


def system_text(variant: Variant, messages: list[Message]) -> str:
    first, *rest = with_rules(variant, messages, TOOL)
    assert first.role == "system"
    assert rest == [m for m in messages if m.role != "system"]
    return first.content


def test_there_are_the_papers_five() -> None:
    assert VARIANTS == get_args(Variant) == ("pure", "short", "long", "rag", "ascl")


@pytest.mark.parametrize("messages", [[USER], [OWN, USER]])
def test_pure_adds_nothing(messages: list[Message]) -> None:
    given = with_rules("pure", messages, TOOL)
    assert given == messages
    assert given is not messages


@pytest.mark.parametrize(
    ("variant", "words", "titles"), [("short", "helpful", 0), ("long", "Refuse", 21), ("ascl", "look up the rules", 0)]
)
def test_all_but_rag_hold_no_rule_and_only_long_names_every_category(variant: Variant, words: str, titles: int) -> None:
    text = system_text(variant, [USER])
    assert words in text and len(TOOL.book.titles) == 21
    assert variant == "ascl" or sum(title in text for title in TOOL.book.titles) == titles
    assert not any(rule.text in text for rule in TOOL.book.rules)


def test_rag_holds_the_rules_of_the_search() -> None:
    text = system_text("rag", [USER])
    consultation = TOOL.call("safety-policy-retrieve_policy", {"query": USER.content}).consultation
    assert consultation is not None
    assert len(consultation.hits) == 2
    assert result_text(consultation.hits) in text
    assert sum(rule.text in text for rule in TOOL.book.rules) == 2


def test_rag_searches_for_the_last_message() -> None:
    earlier = [Message(role="user", content="I want a bomb."), Message(role="assistant", content="No.")]
    assert system_text("rag", [*earlier, USER]) == system_text("rag", [USER])


@pytest.mark.parametrize("variant", ["short", "long", "rag", "ascl"])
def test_a_prompts_own_system_message_stays(variant: Variant) -> None:
    assert system_text(variant, [OWN, USER]) == f"{system_text(variant, [USER])}\n\n{OWN.content}"


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_prompt_itself_is_left_alone(variant: Variant) -> None:
    messages = [OWN, USER]
    with_rules(variant, messages, TOOL)
    assert messages == [OWN, USER]


def test_braces_in_rules_and_prompts_are_only_text() -> None:
    odd = Message(role="user", content="fake passport {titles} {0}")
    assert result_text([]) not in system_text("rag", [odd])
    assert system_text("long", [Message(role="system", content="{x}"), odd]).endswith("{x}")
