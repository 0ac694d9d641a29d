"""No text of a conversation becomes a control token, and none forges a turn, a thought, a call or a result."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from conversations import hostile, turn_text, without_end
from families import Renderers, family_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from ascl.chat.dialects import DIALECTS
from ascl.chat.messages import Message, Opening, StopReason, ToolCall
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
    "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|end|>", "<|call|>", "<|return|>",
)  # fmt: skip
TRUNCATED = StopReason.TRUNCATED
T = TypeVar("T")
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


def rendered_text(renderer: Renderer, messages: list[Message]) -> str:
    return renderer.text(messages, [TOOL], generation_prompt=False)


def text_of_opening(renderer: Renderer) -> str:
    """What a generation prompt adds."""
    user = [Message(role="user", content="w")]
    return renderer.text(user, [], True).removeprefix(renderer.text(user, [], False))


HARMLESS = conversation({slot: slot for slot in SLOTS})
_seen: dict[Any, Any] = {}


def of_harmless(made: Callable[[Renderer, list[Message]], T], renderer: Renderer, words: dict[str, str]) -> T:
    """What is made of harmless texts, blank where these are: a blank text may have no message of its own.

    There are few of these conversations, so each is made once; renderers live as long as the session.
    """
    like = {slot: "\u0436" if text.strip() else text for slot, text in words.items()}
    key = made, id(renderer), tuple(like.items())
    if key not in _seen:
        _seen[key] = made(renderer, conversation(like))
    found: T = _seen[key]
    return found


@all_dialects
@settings(max_examples=40, deadline=None)
@given(words=st.fixed_dictionaries({slot: hostile for slot in SLOTS}))
def test_hostile_text_is_only_text(renderers: dict[str, Renderer], dialect: str, words: dict[str, str]) -> None:
    renderer = renderers[dialect]
    words["name"] = words["name"].replace("\n", " ")  # qwen_agent writes the name on a line of its own
    messages = conversation(words)
    assert control_tokens(renderer, messages) == of_harmless(control_tokens, renderer, words)
    rendered, harmless = rendered_text(renderer, messages), of_harmless(rendered_text, renderer, words)
    for mark in (*SCAFFOLDS, *renderer.dialect.marks):
        assert rendered.count(mark) == harmless.count(mark), mark


@all_dialects
@settings(max_examples=40, deadline=None)
@given(words=st.fixed_dictionaries({slot: hostile for slot in SLOTS}))
def test_a_rendered_turn_is_read_back_as_it_was(
    renderers: dict[str, Renderer], dialect: str, words: dict[str, str]
) -> None:
    renderer = renderers[dialect]
    words["name"] = words["name"].replace("\n", " ")
    for message in conversation(words):
        if message.role == "assistant":
            turn = renderer.dialect.parse(without_end(renderer.dialect, turn_text(renderer, message)), True)
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
    words = dict.fromkeys(SLOTS, char)
    assert control_tokens(renderer, conversation(words)) == of_harmless(control_tokens, renderer, words)
    assert "\ufffd" in renderer.tokenizer.decode(renderer.ids(char))


# Tokenizers that make control tokens of more than their own spelling


def lowered(tokenizer: Any) -> None:
    from tokenizers.normalizers import Lowercase

    tokenizer.backend_tokenizer.normalizer = Lowercase()


def folded(tokenizer: Any) -> None:
    from tokenizers.normalizers import NFKC

    tokenizer.backend_tokenizer.normalizer = NFKC()


def composed(tokenizer: Any) -> None:
    from tokenizers.normalizers import NFC

    tokenizer.backend_tokenizer.normalizer = NFC()
    tokenizer.add_tokens(["<|Kind|>", "<|\u00c5|>"])


def single(tokenizer: Any) -> None:
    tokenizer.add_tokens(list("~#%\u00a7e{7"), special_tokens=True)


def stripping(tokenizer: Any) -> None:
    tokenizer.add_tokens([AddedToken("<|x|>", lstrip=True, rstrip=True), AddedToken("stop", single_word=True)])


def doubled(tokenizer: Any) -> None:
    tokenizer.add_tokens(["\n\n", "\n<|im_end|>", "ab", "aa", "<|im_start|>user\nA"])


def plain_pieces(tokenizer: Any) -> None:
    """The unknown token, and texts of the dialects, as tokens that any normaliser may make."""
    tokenizer.add_tokens(["<think>", "</think>", "<tool_call>", "<file_sep>", "system"])


ODD = {f.__name__: f for f in (lowered, folded, composed, single, stripping, doubled, plain_pieces)}
odd_names = pytest.mark.parametrize("name", [f"{name}-{dialect}" for name in ODD for dialect in ("smollm2", "qwen3")])
FOLDED = (
    "＜｜im_end｜＞", "＜|im_start|＞", "<|IM_END|>", "<|İM_END|>", "＜think＞", "<THINK>", "<|\u212aind|>",
    "<|A\u030a|>", "<|\u212b|>", "<|endoftext|＞", "~", "#", "\u00a7", "e", "stop", "ab", "aab", "\n", "\n\n", "A",
    "user", "＜ｆｉｌｅ＿ｓｅｐ＞", "<FILE_SEP>", "\ue000", "\U0010ffff", "\U0010fffe", "system",
)  # fmt: skip
odd_words = st.lists(st.sampled_from(FOLDED) | hostile | st.text(max_size=3), min_size=1, max_size=4).map("".join)


@pytest.fixture(scope="module")
def odd_renderers(embedded: Path) -> dict[str, Renderer]:
    made = Renderers()  # short in the reports of failed examples
    for name, change in ODD.items():
        for dialect in ("smollm2", "qwen3"):
            tokenizer = family_tokenizer(embedded, dialect)
            tokenizer.add_tokens(["<think>", "<|KIND|>"])  # normalised: the default
            change(tokenizer)
            made[f"{name}-{dialect}"] = Renderer(tokenizer, DIALECTS[dialect])
    return made


def in_order(renderer: Renderer, messages: list[Message]) -> list[list[int]]:
    """The control tokens of a whole conversation, of a prompt and of what follows a turn."""
    whole, _ = renderer.encode(messages, [TOOL])
    prompt, suffix = renderer.prompt_ids(messages[:2], [TOOL]), renderer.suffix_ids(messages[:5], [TOOL])
    added = set(renderer.tokenizer.get_added_vocab().values())
    return [[token for token in ids if token in added] for ids in (whole, prompt, suffix)]


@odd_names
@settings(max_examples=15, deadline=None)
@given(words=st.fixed_dictionaries(dict.fromkeys(SLOTS, odd_words)))
def test_no_tokenizer_makes_control_tokens_of_text(
    odd_renderers: dict[str, Renderer], name: str, words: dict[str, str]
) -> None:
    """Those of the template alone, in its order, for a whole conversation, a prompt and what follows a turn."""
    renderer = odd_renderers[name]
    assert in_order(renderer, conversation(words)) == of_harmless(in_order, renderer, words)


@odd_names
@settings(max_examples=15, deadline=None)
@given(thought=odd_words)
def test_a_prefilled_thought_holds_no_control_tokens(
    odd_renderers: dict[str, Renderer], name: str, thought: str
) -> None:
    renderer = odd_renderers[name]
    added = set(renderer.tokenizer.get_added_vocab().values())
    for closed in (False, True):
        ids, harmless = (renderer.opening_ids(Opening(text, closed)) for text in (thought, "\u0436"))
        assert [i for i in ids if i in added] == [i for i in harmless if i in added]


@all_dialects
@settings(max_examples=30, deadline=None)
@given(thought=hostile.map(str.strip).filter(bool))
def test_a_prefilled_thought_is_what_the_template_writes(
    renderers: dict[str, Renderer], dialect: str, thought: str
) -> None:
    """Its text, its ids, its control tokens, and how it is read back."""
    renderer = renderers[dialect]
    added = set(renderer.tokenizer.get_added_vocab().values())
    turn = Message(role="assistant", content="Answer.", reasoning_content=thought)
    for closed in (False, True):
        text = renderer.opening_text(Opening(thought, closed))
        assert turn_text(renderer, turn).startswith(text)
        ids, harmless = (renderer.opening_ids(Opening(words, closed)) for words in (thought, "\u0436"))
        assert [i for i in ids if i in added] == [i for i in harmless if i in added]
        assert ids == renderer.ids(text)
        read = renderer.dialect.parse(text, False)
        assert (read.thought, read.stop) == (neutralise(thought, renderer.markers), None if closed else TRUNCATED)


@all_dialects
@settings(max_examples=40, deadline=None)
@given(words=st.fixed_dictionaries(dict.fromkeys(SLOTS, hostile | st.text(max_size=12))))
def test_one_text_is_tokenised_as_one(renderers: dict[str, Renderer], dialect: str, words: dict[str, str]) -> None:
    """Where breaks suffice, ids are those of the rendered text in one piece: no border is put between words."""
    renderer, messages = renderers[dialect], conversation(words)
    whole = renderer.text(messages[:2], [TOOL], generation_prompt=True)
    assert renderer.prompt_ids(messages[:2], [TOOL]) == renderer.ids(whole)
