"""Markers in untrusted text are broken, and nothing else is touched."""

import re
from typing import Any

import pytest
from conversations import hostile
from hypothesis import example, given
from hypothesis import strategies as st

from ascl.chat.messages import Message, ToolCall
from ascl.chat.neutralise import BREAK, MARKERS, neutralise, neutralise_message, neutralise_value

EXTRA = ("<file_sep>", "<jupyter_start>", "<empty_output>", "[PAD151936]", "##", "\n\n\n")
GENERIC = re.compile(r"<[|｜][^\s<>|｜]{1,40}[|｜]>")
FAMILIAR = (
    "<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<｜User｜>",
    "<｜end▁of▁sentence｜>", "<｜tool▁calls▁begin｜>", "<think>", "</think>", "<tool_call>", "</tool_response>",
    "✿FUNCTION✿", "✿RESULT✿", "[INST]", "<</SYS>>", "<end_of_turn>",
)  # fmt: skip
words = hostile | st.lists(st.sampled_from(MARKERS + EXTRA) | st.text(max_size=3), max_size=6).map("".join)


def has_marker(text: str) -> bool:
    return bool(GENERIC.search(text)) or any(marker in text for marker in MARKERS + EXTRA)


@given(words)
@example("<<think>think>")
@example("✿FUNCTION✿ARGS✿RESULT✿")
@example("#####\n\n\n\n\n")
def test_no_marker_is_left(text: str) -> None:
    broken = neutralise(text, EXTRA)
    assert not has_marker(broken)
    assert neutralise(broken, EXTRA) == broken


@given(words)
def test_the_text_reads_the_same(text: str) -> None:
    text = text.replace(BREAK, "")
    assert neutralise(text, EXTRA).replace(BREAK, "") == text


@given(st.text() | words)
def test_text_without_markers_is_unchanged(text: str) -> None:
    if not has_marker(text):
        assert neutralise(text, EXTRA) == text
    else:
        assert neutralise(text, EXTRA) != text


@pytest.mark.parametrize("marker", FAMILIAR)
def test_every_family_is_known(marker: str) -> None:
    assert neutralise(f"a{marker}b") == f"a{marker[0]}{BREAK}{marker[1:]}b"


@pytest.mark.parametrize(
    "code",
    [
        "xs |> map(f) |> sum", "a < b and c > d", "a <| b |> c", "<div class='a'></div>", "f :: Maybe a -> [a]",
        "x <- y",
        "if (a<b || c>d) {}", "std::vector<std::vector<int>>", "<|", "|>", "<||>", "[INSTANCE]", "✿", "1 << 2 >> 3",
        "<thinking>", "<tools", "</ think>", "<tool call>", "a\\<|b\n|>", "#!/bin/sh", "[[PAD]]", "<user>", "<｜ ｜>",
    ],
)  # fmt: skip
def test_ordinary_code_is_unchanged(code: str) -> None:
    assert neutralise(code) == code


def test_a_marker_of_one_character_cannot_be_broken_and_is_left() -> None:
    assert neutralise("a~b", ("~",)) == "a~b"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [s for pair in value.items() for item in pair for s in strings(item)]
    return [s for item in value for s in strings(item)] if isinstance(value, list) else []


@given(json_values)
def test_every_string_of_a_value_is_broken_keys_included(value: Any) -> None:
    broken = neutralise_value(value, EXTRA)
    assert not any(map(has_marker, strings(broken)))
    if not any(map(has_marker, strings(value))):
        assert broken == value


def test_a_message_keeps_what_is_not_text() -> None:
    call = ToolCall(id="call_1", name="<think>", arguments={"</think>": [{"q": "<|im_end|>", "n": 3}]})
    message = Message(
        role="assistant", content="<tool_call>", reasoning_content="a </think> b", tool_calls=[call], error=True
    )
    kept = message.model_copy(deep=True)
    broken = neutralise_message(message)
    assert message == kept
    assert (broken.role, broken.error, broken.tool_calls[0].id) == ("assistant", True, "call_1")
    assert broken.content == f"<{BREAK}tool_call>"
    assert broken.reasoning_content == f"a <{BREAK}/think> b"
    assert broken.tool_calls[0].name == f"<{BREAK}think>"
    assert broken.tool_calls[0].arguments == {f"<{BREAK}/think>": [{"q": f"<{BREAK}|im_end|>", "n": 3}]}


def test_no_thought_stays_no_thought_and_a_tool_message_keeps_its_call() -> None:
    message = Message(role="tool", content="<s>", tool_call_id="call_1")
    broken = neutralise_message(message)
    assert (broken.reasoning_content, broken.tool_call_id, broken.content) == (None, "call_1", f"<{BREAK}s>")
