"""No text of a conversation becomes a control token, and none forges a turn, a thought, a call or a result."""

from collections import Counter

import pytest
from conversations import hostile, turn_text
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.dialects import DIALECTS
from ascl.chat.messages import Message, ToolCall
from ascl.chat.neutralise import neutralise
from ascl.chat.render import Renderer

all_dialects = pytest.mark.parametrize("dialect", list(DIALECTS))
TOOL = {
    "type": "function",
    "function": {"name": "t", "description": "d", "parameters": {"type": "object", "properties": {"q": {}}}},
}
SCAFFOLDS = (
    "<|im_start|>system\n", "<|im_start|>user", "<|im_start|>assistant\n", "<|im_start|>tool\n", "<|im_end|>",
    "<think>",
    "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "✿FUNCTION✿", "✿ARGS✿",
    "✿RESULT✿", "✿RETURN✿", "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>",
)  # fmt: skip
SLOTS = ("system", "user", "thought", "said", "name", "key", "value", "result", "fault", "second", "answer")


def conversation(words: dict[str, str]) -> list[Message]:
    """A whole conversation whose every text is one of `words`."""
    arguments = {"query": words["value"], words["key"]: [{words["key"]: [words["value"], 1, None]}]}
    calls = [ToolCall(id=f"call_{i}", name=words["name"], arguments=arguments) for i in range(2)]
    return [
        Message(role="system", content=words["system"]),
        Message(role="user", content=words["user"]),
        Message(role="assistant", content=words["said"], reasoning_content=words["thought"], tool_calls=calls),
        Message(role="tool", content=words["result"], tool_call_id="call_0"),
        Message(role="tool", content=words["fault"], tool_call_id="call_1", error=True),
        Message(role="assistant", content=words["answer"], reasoning_content=words["second"]),
        Message(role="user", content=words["user"]),
        Message(role="assistant", content=words["answer"]),
    ]


def control_tokens(renderer: Renderer, messages: list[Message]) -> Counter[int]:
    added = set(renderer.tokenizer.get_added_vocab().values())
    ids, _ = renderer.encode(messages, [TOOL])
    assert Counter(renderer.prompt_ids(messages[:2], [TOOL])) <= Counter(ids + renderer.ids(text_of_opening(renderer)))
    return Counter(i for i in ids if i in added)


def text_of_opening(renderer: Renderer) -> str:
    """What a generation prompt adds."""
    user = [Message(role="user", content="w")]
    return renderer.text(user, [], True).removeprefix(renderer.text(user, [], False))


HARMLESS = conversation({slot: slot for slot in SLOTS})


@all_dialects
@settings(max_examples=60, deadline=None)
@given(words=st.fixed_dictionaries({slot: hostile for slot in SLOTS}))
def test_hostile_text_is_only_text(renderers: dict[str, Renderer], dialect: str, words: dict[str, str]) -> None:
    renderer = renderers[dialect]
    words["name"] = words["name"].replace("\n", " ")  # qwen_agent writes the name on a line of its own
    messages = conversation(words)
    assert control_tokens(renderer, messages) == control_tokens(renderer, HARMLESS)
    rendered, harmless = (renderer.text(m, [TOOL], generation_prompt=False) for m in (messages, HARMLESS))
    assert {s: rendered.count(s) for s in SCAFFOLDS} == {s: harmless.count(s) for s in SCAFFOLDS}


@all_dialects
@settings(max_examples=60, deadline=None)
@given(words=st.fixed_dictionaries({slot: hostile for slot in SLOTS}))
def test_a_rendered_turn_is_read_back_as_it_was(
    renderers: dict[str, Renderer], dialect: str, words: dict[str, str]
) -> None:
    renderer = renderers[dialect]
    words["name"] = words["name"].replace("\n", " ")
    for message in conversation(words):
        if message.role == "assistant":
            turn = renderer.dialect.parse(turn_text(renderer, message).removesuffix(renderer.dialect.end_of_turn), True)
            assert turn.stop is None
            assert len(turn.calls) == len(message.tool_calls)
            assert turn.content == neutralise(message.content, renderer.markers).strip()
            if message.reasoning_content is not None:
                assert turn.thought == neutralise(message.reasoning_content, renderer.markers).strip()


@all_dialects
def test_no_added_token_can_be_written(renderers: dict[str, Renderer], dialect: str) -> None:
    """Every added token of the tokenizer: alone, twice, inside itself, and between two halves of itself."""
    renderer = renderers[dialect]
    expected = control_tokens(renderer, HARMLESS)
    for token in renderer.tokenizer.get_added_vocab():
        middle = len(token) // 2
        for text in (token, token + token, token[:middle] + token + token[middle:], token[0] + token + token[-1]):
            assert control_tokens(renderer, conversation(dict.fromkeys(SLOTS, text))) == expected, text


@all_dialects
@pytest.mark.parametrize("char", ["\x04", "\x1d", "\U00040000", "\U000bffff"])
def test_a_character_without_a_token_is_not_a_control_token(
    renderers: dict[str, Renderer], dialect: str, char: str
) -> None:
    """SmolLM2 lacks some bytes; its unknown token is <|endoftext|>."""
    renderer = renderers[dialect]
    assert control_tokens(renderer, conversation(dict.fromkeys(SLOTS, char))) == control_tokens(renderer, HARMLESS)
    assert "\ufffd" in renderer.tokenizer.decode(renderer.ids(char))
