"""Forms that a family's models write besides the one its template writes."""

import pytest

from ascl.chat.dialects.gpt_oss import GPT_OSS
from ascl.chat.dialects.mistral import MISTRAL
from ascl.chat.messages import StopReason
from ascl.chat.turn import ParsedCall, Turn

TRUNCATED, MALFORMED = StopReason.TRUNCATED, StopReason.MALFORMED
NEXT = "<|end|><|start|>assistant"


@pytest.mark.parametrize(
    "text",
    [
        "[TOOL_CALLS]t[CALL_ID]a1b2c3d4e[ARGS]{}",
        '[TOOL_CALLS][{"name": "t", "arguments": {}}]',
        '[TOOL_CALLS] [{"name": "t", "arguments": "{}", "id": "a1b2c3d4e"}]',
        '[TOOL_CALLS]{"name": "t", "arguments": {}}',
    ],
)
def test_calls_of_older_mistral_models(text: str) -> None:
    assert MISTRAL.parse(f"[THINK]why[/THINK]Look.{text}", True) == Turn("Look.", "why", [ParsedCall("t", {})])
    assert MISTRAL.parse(text.replace("{}", "{"), False).stop is TRUNCATED


@pytest.mark.parametrize(
    "text", ["[TOOL_CALLS][]", "[TOOL_CALLS]", "[TOOL_CALLS]t{}", '[TOOL_CALLS][{"name": "t"}]', "[TOOL_CALLS][3]"]
)
def test_a_mistral_call_without_its_parts_is_malformed(text: str) -> None:
    turn = MISTRAL.parse(text, True)
    assert (turn.stop, turn.calls, bool(turn.detail)) == (MALFORMED, [], True)


@pytest.mark.parametrize(
    "head",
    [
        "<|channel|>commentary to=functions.t json", "<|channel|>commentary to=functions.t<|constrain|>json",
        "<|channel|>analysis to=t", " to=functions.t<|channel|>commentary json", " to=functions.t<|channel|>commentary",
    ],
)  # fmt: skip
def test_where_gpt_oss_may_name_the_tool(head: str) -> None:
    assert GPT_OSS.parse(f"{head}<|message|>{{}}", True) == Turn("", None, [ParsedCall("t", {})])


def test_gpt_oss_may_think_in_several_messages() -> None:
    thoughts = f"<|channel|>analysis<|message|>a{NEXT}<|channel|>analysis<|message|>b{NEXT}"
    text = f"{thoughts}<|channel|>final<|message|>hello"
    assert GPT_OSS.parse(text, True) == Turn("hello", "a\n\nb")
    assert GPT_OSS.thought_end(text) == len(thoughts)
    assert GPT_OSS.thought_end(f"{thoughts}<|channel|>") is None


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "<|channel|>final",
        "<|channel|>secret<|message|>x",
        "<|message|>x",
        "x<|channel|>final<|message|>y",
        "<|channel|>final x<|message|>y",
        "<|channel|>final<|message|>x<|end|>y",
        "<|channel|>final<|message|>x<|end|><|start|>user<|message|>y",
        "<|channel|>analysis<|message|>x<|start|>assistant<|channel|>final<|message|>y",
    ],
)
def test_what_is_in_no_channel_of_gpt_oss_is_malformed(text: str) -> None:
    turn = GPT_OSS.parse(text, True)
    assert (turn.stop, turn.detail) == (MALFORMED, "text outside of a channel")


@pytest.mark.parametrize("cut", ["<|channel|>", "<|channel|>fin", "<|channel|>final", " to=functions.t"])
def test_a_header_cut_by_the_budget_is_truncated(cut: str) -> None:
    thought = f"<|channel|>analysis<|message|>why{NEXT}"
    assert GPT_OSS.parse(thought, False) == Turn("", "why", ended=False)
    assert GPT_OSS.parse(thought + cut, False).stop is TRUNCATED
    assert GPT_OSS.parse(thought + cut, True).stop is MALFORMED


@pytest.mark.parametrize("cut", ["<|start|>", "<|start|>assist"])
def test_a_message_that_was_not_begun_is_truncated(cut: str) -> None:
    assert GPT_OSS.parse(f"<|channel|>commentary<|message|>Look.<|end|>{cut}", False).stop is TRUNCATED
