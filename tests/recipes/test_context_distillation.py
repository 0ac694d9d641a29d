"""Context distillation: rules in the prompt when sampling, none in the row, no talk of what will be gone."""

from pathlib import Path
from typing import Any

import pytest
from teacher_server import said, teacher
from workshops import HARM, REFUSAL, TOOL, named, prompt, reasons, workshop

from ascl.recipes.context_distillation import Parameters, build

REPLIES = {
    "refuses": said(REFUSAL, "Breaking into a house harms whoever lives there."),
    "cites": said(REFUSAL, "The rules above forbid this."),
    "cites-answer": said(f"{REFUSAL} My system prompt forbids it.", "This harms somebody."),
    "complies": said(HARM, "A lock, nice."),
    "thoughtless": said(REFUSAL),
}


def reply(name: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(REPLIES[name])


def test_rules_are_there_when_sampling_and_gone_in_the_row(tmp_path: Path) -> None:
    with teacher(named(reply)) as server:
        built = build([prompt(name) for name in REPLIES], Parameters(), workshop(tmp_path, server))
        asked = [request["messages"] for request in server.requests]
    shown = [rule.text for rule, _ in TOOL.book.search(prompt("refuses").text, 3)]
    assert shown
    for messages in asked:
        assert messages[0]["role"] == "system" and any(text in messages[0]["content"] for text in shown)
    [row] = built.rows
    assert [m.role for m in row.messages] == ["user", "assistant"]
    assert all(text not in str(row.dump()["messages"]) for text in shown)
    assert row.provenance["rules_hash"] == TOOL.book.hash and row.provenance["rules"]
    assert reasons(built) == {
        "cites": "replies: refers to the prompt",
        "cites-answer": "replies: refers to the prompt",
        "complies": "replies: verdict",
        "thoughtless": "replies: no thought",
    }


@pytest.mark.parametrize(
    "thought",
    [
        "As stated in the system prompt, no.",
        "Rule 2 says no.",
        "The given guidelines forbid it.",
        "These policies apply.",
    ],
)
def test_talk_of_the_given_rules_is_noticed(tmp_path: Path, thought: str) -> None:
    with teacher(lambda messages: said(REFUSAL, thought)) as server:
        built = build([prompt("p")], Parameters(), workshop(tmp_path, server))
    assert reasons(built) == {"p": "replies: refers to the prompt"}
