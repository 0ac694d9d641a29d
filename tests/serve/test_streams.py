"""Reading an upstream's stream, and holding back what is no answer: any pieces give the same turn."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.consult.tool import TOOL_NAME
from ascl.models.completion import read_turn
from ascl.models.retry import RequestFailed
from ascl.serve.protocol.assemble import Assembler, read_usage
from ascl.serve.protocol.hold_back import HoldBack


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"delta": delta, "finish_reason": finish}]}


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({min(place, len(text)) for place in places})
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


texts = st.text(st.sampled_from("ab <|{}[]/✿\n`thinktoolcal_"), max_size=60)
hidden = st.sampled_from(
    ["<tool_call>", "<think>", "</think>", "<|im_end|>", "✿FUNCTION✿", "[TOOL_CALLS]", "<function="]
)


@settings(deadline=None)
@given(texts, st.lists(st.integers(0, 60), max_size=8))
def test_what_is_shown_and_what_is_held_is_the_text(text: str, places: list[int]) -> None:
    hold = HoldBack()
    shown = "".join(map(hold.add, cut(text, places)))
    assert shown + hold.held == text


@settings(deadline=None)
@given(texts, hidden, texts, st.lists(st.integers(0, 140), max_size=12))
def test_no_marker_is_ever_shown_however_it_is_cut(before: str, mark: str, after: str, places: list[int]) -> None:
    hold = HoldBack()
    shown = "".join(map(hold.add, cut(before + mark + after, places)))
    assert mark not in shown
    assert len(shown) <= len(before)


@given(st.text(st.characters(codec="utf-8", exclude_characters="<[]|✿{`pP"), min_size=1, max_size=80))
def test_plain_text_is_shown_at_once(text: str) -> None:
    hold = HoldBack()
    shown = hold.add(text)
    assert shown == (text if text.strip() else "")


calls = st.lists(
    st.tuples(st.sampled_from([TOOL_NAME, "weather"]), st.dictionaries(st.sampled_from("ab"), st.integers(0, 9))),
    min_size=1,
    max_size=4,
)


@settings(deadline=None)
@given(calls, st.sampled_from(["indexed", "zero", "missing"]), st.integers(1, 7), st.booleans())
def test_calls_are_put_together_however_a_server_numbers_them(
    said: list[tuple[str, dict[str, int]]], numbered: str, size: int, repeats: bool
) -> None:
    assembler = Assembler()
    for number, (name, arguments) in enumerate(said):
        text = json.dumps(arguments)
        for place in range(0, len(text), size):
            function: dict[str, Any] = {"arguments": text[place : place + size]}
            part: dict[str, Any] = {"function": function}
            if place == 0 or (repeats and numbered == "indexed"):
                function["name"] = name
                part["id"] = f"c{number}"
            if numbered != "missing":
                part["index"] = number if numbered == "indexed" else 0
            assembler.add(chunk(tool_calls=[part]))
    assembler.add(chunk("tool_calls"))
    turn = read_turn(assembler.completion())
    assert [(call.name, call.arguments) for call in turn.calls] == said


def test_arguments_may_be_an_object_and_usage_is_anywhere() -> None:
    assembler = Assembler()
    assembler.add({"usage": {"prompt_tokens": 3, "completion_tokens": "many"}, "choices": [{}]})
    call = {"index": 0, "id": "", "function": {"name": "weather", "arguments": {"a": 1}}}
    assembler.add(chunk("stop", tool_calls=[call]))
    assert assembler.usage == {"prompt_tokens": 3}
    assert read_turn(assembler.completion()).calls[0].arguments == {"a": 1}
    assert read_usage({"prompt_tokens": -1, "total_tokens": True}) == {}


@pytest.mark.parametrize(
    "given",
    [{"choices": None}, {"choices": [None]}, {"choices": [{"delta": 5}]}, {}, {"choices": [{"delta": {"content": 5}}]}],
)
def test_chunks_that_make_no_sense_are_passed_over(given: dict[str, Any]) -> None:
    assembler = Assembler()
    assert assembler.add(given) == ("", "")
    assert not assembler.ended


def test_half_a_character_is_replaced() -> None:
    assert Assembler().add(chunk(content="Hi \ud83d", reasoning="\ude00")) == ("?", "Hi ?")


def test_an_error_in_the_stream_and_an_endless_turn_fail() -> None:
    with pytest.raises(RequestFailed):
        Assembler().add({"error": {"message": "x"}})
    assembler = Assembler()
    with pytest.raises(RequestFailed):
        for _ in range(100):
            assembler.add(chunk(content="a" * 200_000))
