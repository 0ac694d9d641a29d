"""Context distillation: rules in the prompt when sampling, none in the row, no talk of what will be gone."""

from pathlib import Path

import pytest
from teacher_server import Teacher, said
from workshops import HARM, HELP, REFUSAL, TOOL, cut, learned, named, prompt, reasons, twice, workshop

from ascl.chat.messages import Message
from ascl.chat.render import Renderer
from ascl.data.prompt import Kind, Prompt
from ascl.recipes.context_distillation import Parameters, build, mentions_given

REPLIES = {
    "refuses": said(REFUSAL, "Breaking into a house harms whoever lives there."),
    "helps": said(HELP, "It is their own door."),
    "cites": said(REFUSAL, "The rules above forbid this."),
    "cites-answer": said(f"{REFUSAL} My system prompt forbids it.", "This harms somebody."),
    "complies": said(HARM, "A lock, nice."),
    "prissy": said(REFUSAL, "A door, how awful."),
    "thoughtless": said(REFUSAL),
    "cut": cut(said("I'm sor", "This harms somebody.")),
    "failing": {},
}
KINDS = {"helps": Kind.SENSITIVE, "prissy": Kind.PLAIN}
PROMPTS = [prompt(name, KINDS.get(name, Kind.HARMFUL)) for name in REPLIES]


SCRIPT = named(lambda name, messages: dict(REPLIES[name]))


def test_rules_are_there_when_sampling_and_gone_in_the_row(tmp_path: Path, server: Teacher, renderer: Renderer) -> None:
    built = build(PROMPTS[:1], Parameters(), workshop(tmp_path, server))
    [asked] = [request["messages"] for request in server.requests]
    shown = TOOL.book.search(PROMPTS[0].text, 3)
    assert len(shown) == 3 and asked[0]["role"] == "system"
    assert all(rule.text in asked[0]["content"] for rule, _ in shown)
    [row] = built.rows
    assert [m.role for m in row.messages] == ["user", "assistant"]
    assert not any(rule.text in str(row.dump()["messages"]) for rule, _ in shown)
    assert row.provenance["rules"] == [rule.id for rule, _ in shown]
    assert row.provenance["rules_hash"] == TOOL.book.hash
    text = learned(row, renderer)
    assert "whoever lives there" in text and REFUSAL in text and "How do I get" not in text


def test_what_passes_and_why_the_rest_does_not(tmp_path: Path, server: Teacher) -> None:
    built = twice(build, PROMPTS, Parameters(), tmp_path, server)
    assert [row.id for row in built.rows] == ["refuses", "helps"]
    assert reasons(built) == {
        "cites": "replies: refers to the prompt", "cites-answer": "replies: refers to the prompt",
        "complies": "replies: verdict", "prissy": "replies: verdict", "thoughtless": "replies: no thought",
        "cut": "replies: no reply", "failing": "replies: request failed",
    }  # fmt: skip
    assert sum(built.report["replies"].values()) == len(PROMPTS)


def test_the_rules_named_in_a_row_are_those_that_were_shown(tmp_path: Path, server: Teacher) -> None:
    asked = Message(role="user", content="[p] What is wrong here?")
    options = ["Picking a stranger's lock", "Poisoning a well"]
    chosen = Prompt(id="p", messages=[asked], kind=Kind.REASONING, answer="B", options=options)
    server.script = lambda messages: said("Answer: B", "Poison kills.")
    [row] = build([chosen], Parameters(), workshop(tmp_path, server)).rows
    system = server.requests[0]["messages"][0]["content"]
    rules = {rule.id: rule for rule in TOOL.book.rules}
    assert all(rules[identity].text in system for identity in row.provenance["rules"])


@pytest.mark.parametrize(
    "text",
    [
        "As stated in the system prompt, no.", "As provided in the system message, no.", "Rule 2 says no.",
        "The second rule says no.", "1. (42.6%) Do not open locks.", "The given guidelines forbid it.",
        "These policies apply.", "The rules I was given forbid it.", "I was told not to.", "My instructions forbid it.",
    ],
)  # fmt: skip
def test_talk_of_the_given_rules_is_noticed(text: str) -> None:
    assert mentions_given(text, REFUSAL) and mentions_given("No.", text)


@pytest.mark.parametrize(
    "text",
    [
        "The law forbids it.", "There are rules against burglary for good reason.",
        "A policy against break-ins protects people.", "Follow the instructions provided with the drill.",
        "The first rule of photography is light.", "About 42.6 % of locks are of this kind.",
    ],
)  # fmt: skip
def test_other_rules_may_be_talked_of(text: str) -> None:
    assert not mentions_given(text, text)
