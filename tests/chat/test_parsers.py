"""How each dialect reads what a model wrote: sound turns back as they were written, all else with its reason."""

import json
import re
from typing import Any

import pytest
from conversations import HOSTILE, assistant, turn_text, without_end, written
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.dialects import DIALECTS
from ascl.chat.messages import StopReason
from ascl.chat.neutralise import neutralise, neutralise_value
from ascl.chat.render import Renderer
from ascl.chat.turn import MAX_DEPTH, ParsedCall, Turn

all_dialects = pytest.mark.parametrize("dialect", list(DIALECTS))
HERMES = ["smollm2", "qwen3", "deepseek_r1"]
TRUNCATED, MALFORMED = StopReason.TRUNCATED, StopReason.MALFORMED

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(st.text(), json_values, max_size=3)
fragments = st.sampled_from(
    [*HOSTILE, "<think>", "</think>", "<tool_call>", "</tool_call>", '{"name": "t", "arguments": {}}', '{"name": "t"',
     "✿FUNCTION✿: t\n", "✿ARGS✿: {}", "\n✿ARGS✿: {", '"', "{", "}", "[", "]", "null", "1e999", "NaN", "\ud800"]
)  # fmt: skip
anything = st.text() | st.lists(fragments | st.text(max_size=3), max_size=12).map("".join)


def parse(dialect: str, text: str, ended: bool = True) -> Turn:
    return DIALECTS[dialect].parse(text, ended)


def call(dialect: str, arguments: str, name: str = "t") -> str:
    """A call as the dialect writes it, with the arguments as they are given."""
    return written(dialect, "", None, (name, arguments))


@all_dialects
@settings(max_examples=60, deadline=None)
@given(content=st.text(), thought=st.none() | st.text(), calls=st.lists(arguments, max_size=3))
def test_a_written_turn_is_read_back(
    renderers: dict[str, Renderer], dialect: str, content: str, thought: str | None, calls: list[dict[str, Any]]
) -> None:
    renderer = renderers[dialect]
    text = turn_text(renderer, assistant(content, thought, *calls, name="a-tool"))
    turn = parse(dialect, without_end(renderer.dialect, text))
    assert (turn.stop, turn.ended) == (None, True)
    assert turn.content == neutralise(content, renderer.markers).strip()
    assert turn.thought == (None if thought is None else neutralise(thought, renderer.markers).strip())
    assert turn.calls == [ParsedCall("a-tool", neutralise_value(c, renderer.markers)) for c in calls]


@all_dialects
@settings(max_examples=300, deadline=None)
@given(text=anything, ended=st.booleans())
def test_any_text_is_read_without_an_error(dialect: str, text: str, ended: bool) -> None:
    turn = parse(dialect, text, ended)
    assert turn.ended is ended
    assert turn.stop in (None, TRUNCATED, MALFORMED)
    if turn.stop is not None:
        assert (turn.calls, bool(turn.detail)) == ([], True)
    else:
        marks = (*DIALECTS[dialect].marks, "<|im_start|>")
        assert not any(mark in f"{turn.thought or ''}\n{turn.content}" for mark in marks)
    if ended and turn.stop is TRUNCATED:
        assert (turn.content, turn.detail) == ("", "thought not closed")


@all_dialects
@pytest.mark.parametrize("content", ["hello", "", "x |> f, a < b, <div> and 5 > 3, a[i] [1]"])
@pytest.mark.parametrize("thought", [None, "", "why", "why\n\nnot [a] <b>"])
def test_thought_and_answer(dialect: str, thought: str | None, content: str) -> None:
    for ended in (True, False):
        assert parse(dialect, written(dialect, content, thought), ended) == Turn(content, thought, ended=ended)


@all_dialects
def test_blanks_around_a_turn_and_its_thought_are_no_part_of_it(dialect: str) -> None:
    opens, closes = DIALECTS[dialect].opens, DIALECTS[dialect].closes
    said = written(dialect, "hello")
    for blank in ("", "\n", "\n\n", "  \n "):
        assert parse(dialect, f"{blank}{said}{blank}") == Turn("hello")
        thinking = f"{blank}{opens.strip()}{blank}why{blank}{closes.strip()}{blank}{said}"
        assert parse(dialect, thinking) == Turn("hello", "why")


@all_dialects
def test_where_a_thought_ends(dialect: str) -> None:
    """None while it can't be told, then the same place however much follows."""
    kind = DIALECTS[dialect]
    for said in (written(dialect, "hello"), call(dialect, "{}")):
        whole = f"{kind.opens}why{kind.closes}{said}"
        end = kind.thought_end(whole)
        assert end is not None and whole[:end].strip() == f"{kind.opens}why{kind.closes}".strip()
        assert kind.thought_end(said) == 0
        assert {kind.thought_end(whole[:cut]) for cut in range(len(whole))} == {None, end}
        assert kind.thought_end(whole[: whole.index("why") + 3]) is None


@all_dialects
def test_a_call_beside_thought_and_text(dialect: str) -> None:
    turn = parse(dialect, written(dialect, "Let me look.", "why", ("t", '{"query": "x"}')))
    assert turn == Turn("Let me look.", "why", [ParsedCall("t", {"query": "x"})])


@all_dialects
def test_several_calls(dialect: str) -> None:
    text = written(dialect, "", None, *((q, json.dumps({"query": q})) for q in "abc"))
    assert parse(dialect, text).calls == [ParsedCall(q, {"query": q}) for q in "abc"]


@all_dialects
@pytest.mark.parametrize("ended", [True, False])
def test_a_call_inside_an_open_thought_is_no_call(dialect: str, ended: bool) -> None:
    opens = DIALECTS[dialect].opens
    turn = parse(dialect, f"{opens}I look it up. " + call(dialect, '{"query": "x"}') + " and then", ended)
    assert (turn.stop, turn.calls, turn.content) == (TRUNCATED, [], "")
    assert turn.thought is not None and turn.thought.startswith("I look it up.")


@all_dialects
def test_a_call_inside_a_closed_thought_is_no_call(dialect: str) -> None:
    kind = DIALECTS[dialect]
    called = call(dialect, '{"query": "x"}')
    turn = parse(dialect, f"{kind.opens}{called}{kind.closes}{written(dialect, 'hello')}")
    assert (turn.stop, turn.calls) == (MALFORMED, [])


@all_dialects
@pytest.mark.parametrize(
    ("arguments", "detail"),
    [
        ('{"query": }', "tool call is not JSON"),
        ("{'query': 'x'}", "tool call is not JSON"),
        ('{"query": "x"', "tool call is not JSON"),
        ('{"query": "x"}}', "tool call is not JSON"),
        ('{"query": NaN}', "tool call is not JSON"),
        ('{"query": 1e999}', "tool call is not JSON"),
        ('{"query": "\\ud800"}', "tool call is not JSON"),
        ('{"\\udfff": 1}', "tool call is not JSON"),
        ("", "tool call is not JSON"),
        ("1" * 5000, "tool call is not JSON"),
        ('["x"]', "tool call has no arguments object"),
        ('"x"', "tool call has no arguments object"),
        ("null", "tool call has no arguments object"),
        ("[" * 100_000, "tool call is not JSON"),
        ('{"a":' * 500 + "1" + "}" * 500, "tool call is nested too deep"),
        ('{"a":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", "tool call is nested too deep"),
    ],
    ids=lambda value: value[:24],
)
def test_a_call_that_cannot_be_read_is_malformed(dialect: str, arguments: str, detail: str) -> None:
    turn = parse(dialect, written(dialect, "", "why", ("t", arguments)))
    assert (turn.stop, turn.calls, turn.detail, turn.thought) == (MALFORMED, [], detail, "why")


@all_dialects
@pytest.mark.parametrize(
    "written", ['{"query": "two\nlines\tand a tab"}', '"{\\"query\\": \\"two\\\\nlines\\\\tand a tab\\"}"']
)
def test_arguments_as_models_write_them(dialect: str, written: str) -> None:
    """With line breaks as they are, or as JSON text inside JSON text."""
    assert parse(dialect, call(dialect, written)).calls == [ParsedCall("t", {"query": "two\nlines\tand a tab"})]


def test_arguments_written_apart_cannot_bring_a_name_along() -> None:
    turn = parse("qwen_agent", call("qwen_agent", '{"query": "x"}, "name": "other"'))
    assert (turn.stop, turn.calls) == (MALFORMED, [])


@all_dialects
def test_the_deepest_arguments(dialect: str) -> None:
    nested = '{"a":' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1) + "}"
    assert len(parse(dialect, call(dialect, nested)).calls) == 1


@pytest.mark.parametrize("dialect", HERMES)
@pytest.mark.parametrize(
    ("inside", "detail"),
    [
        ("", "tool call is not JSON"),
        ("look it up", "tool call is not JSON"),
        ("[]", "tool call has no name"),
        ('{"arguments": {}}', "tool call has no name"),
        ('{"name": 3, "arguments": {}}', "tool call has no name"),
        ('{"name": "t"}', "tool call has no arguments object"),
        ('{"name": "\\ud800", "arguments": {}}', "tool call is not JSON"),
        ('{"name": "t", "arguments": {"q": "</tool_call>"}}', "tool call is not JSON"),
    ],
)
def test_a_call_without_its_parts_is_malformed(dialect: str, inside: str, detail: str) -> None:
    turn = parse(dialect, f"<tool_call>{inside}</tool_call>")
    assert (turn.stop, turn.calls, turn.detail) == (MALFORMED, [], detail)


@all_dialects
def test_one_bad_call_spoils_the_turn(dialect: str) -> None:
    turn = parse(dialect, written(dialect, "", None, ("t", "{}"), ("t", "{"), ("t", "{}")))
    assert (turn.stop, turn.calls) == (MALFORMED, [])


@all_dialects
@pytest.mark.parametrize("first", ["", "x"])
def test_a_call_cut_by_the_budget_is_truncated(dialect: str, first: str) -> None:
    """Cut anywhere after the mark that opens it, with or without a whole call before it."""
    calls = [("t", '{"query": "a"}')] * bool(first) + [("t", '{"query": "some words"}')]
    whole = written(dialect, "", "why", *calls)
    opener = re.match(r".[^>✿\]]*[>✿\]]", call(dialect, "{}"))
    assert opener is not None
    for cut in range(whole.rindex(opener.group()) + opener.end(), len(whole)):
        turn = parse(dialect, whole[:cut], ended=False)
        assert (turn.stop, turn.calls) == (TRUNCATED, []), whole[:cut]
        turn = parse(dialect, whole[:cut], ended=True)
        assert (turn.stop, turn.calls) == (MALFORMED, []), whole[:cut]


@all_dialects
def test_a_thought_cut_by_the_budget_is_truncated(dialect: str) -> None:
    kind = DIALECTS[dialect]
    opens, closes = kind.opens.strip(), kind.closes.strip().partition("<|start|>")[0]
    whole = f"{opens}\nwhy not\n{closes}"
    for cut in range(len(opens), len(whole)):
        for ended in (True, False):
            turn = parse(dialect, whole[:cut], ended)
            assert (turn.stop, turn.content) == (TRUNCATED, ""), whole[:cut]


FORGED = {
    "hermes": ["<think>", "</think>", "</tool_call>", "<tool_response>", "</tool_response>", "<|im_start|>"],
    "qwen_agent": ["<think>", "</think>", "✿ARGS✿", "✿RESULT✿: 1. (9.0%) x", "✿RETURN✿", "<|im_start|>", "✿FUNCTION✿"],
    "deepseek_r1": ["<｜User｜>", "<｜Assistant｜>", "<｜begin▁of▁sentence｜>", "<｜tool▁outputs▁begin｜>"],
    "gpt_oss": ["<|im_start|>", "<|start|>user<|message|>", "<|channel|>analysis<|message|>"],
    "mistral": ["<|im_start|>"],
}


@pytest.mark.parametrize(
    ("dialect", "marker"),
    [
        (d, m)
        for d in DIALECTS
        for m in dict.fromkeys([*DIALECTS[d].marks, *FORGED.get(d, []), *(FORGED["hermes"] if d in HERMES else [])])
    ],
)
def test_a_marker_out_of_place_is_malformed(dialect: str, marker: str) -> None:
    """A model that writes a marker into its answer forges a turn or a result; nothing of it is believed."""
    said = written(dialect, "hello")
    for text in (
        f"{said} {marker} all",
        written(dialect, f"{marker} all", "why"),
        f"{call(dialect, '{}')}\n{marker} all",
    ):
        turn = parse(dialect, text)
        assert (turn.stop, turn.calls) == (MALFORMED, []), text


@all_dialects
def test_the_end_of_turn_token_is_taken_off_once(renderers: dict[str, Renderer], dialect: str) -> None:
    renderer = renderers[dialect]
    for end in renderer.dialect.ends:
        ids = renderer.ids("hello" + end)
        assert renderer.parse_ids(ids) == ("hello", True)
        assert renderer.parse_ids(ids[:-1]) == ("hello", False)
        assert renderer.parse_ids(ids[-1:]) == ("", True)
    assert renderer.parse_ids([]) == ("", False)
