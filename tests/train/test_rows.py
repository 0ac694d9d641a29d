"""Training files are checked line by line before anything is loaded."""

import json
from pathlib import Path

import pytest

from ascl.chat.messages import Message
from ascl.chat.render import Renderer
from ascl.data.row import Row
from ascl.data.rows import read_rows
from ascl.errors import InputError
from ascl.train.tokens import IGNORED, encode_row

GOOD = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


def assistant(**fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant"} | fields]}


def called_with(arguments: object) -> dict[str, object]:
    return assistant(content=None, tool_calls=[{"id": "c", "function": {"name": "f", "arguments": arguments}}])


def written(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_folder_stands_for_its_rows(tmp_path: Path) -> None:
    written(tmp_path / "set" / "train.jsonl", GOOD | {"id": "a"}, GOOD)
    rows = read_rows([tmp_path / "set", written(tmp_path / "more.jsonl", GOOD)])
    assert [row.id for row in rows] == ["a", "train-2", "more-1"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": [], "chosen": [], "rejected": []}, "a preference pair"),
        ({}, "messages: a list of messages is expected"),
        ({"messages": ["Hi"]}, "messages: a list of messages is expected"),
        ({"messages": [{"role": "king", "content": "Hi"}]}, "role"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "no turn of the assistant"),
        (GOOD | {"tools": "none"}, "tools: a list of tools"),
        (GOOD | {"tools": [{"name": "f"}]}, "tools: a list of tools"),
        (GOOD | {"no_loss_prefix": 5}, "no_loss_prefix: a text is expected"),
        (assistant(content=None), "messages.1.content: it is missing"), (assistant(content=5), "messages.1.content"),
        (assistant(content=[{"type": "image_url", "image_url": {"url": "x"}}]), "of type image_url"),
        (assistant(content=["Hello"]), "messages.1.content: parts are texts"),
        (assistant(content="Yes.", refusal="No."), "messages.1.refusal: "),
        (assistant(content="Yes.", audio={"id": "a"}), "messages.1.audio: "),
        (assistant(content="Yes.", weight=0), "messages.1.weight: "),
        (assistant(function_call={"name": "f", "arguments": "{}"}), "messages.1.function_call: "),
        (assistant(tool_calls={"name": "f"}), "messages.1.tool_calls: a list is expected"),
        (assistant(tool_calls=[{"type": "custom", "custom": {"input": "x"}}]), "messages.1.tool_calls.0: "),
        (assistant(tool_calls=[{"function": {"name": "f"}}]), "`name` and `arguments`"),
        (called_with("{"), "are not JSON"), (called_with('{"query": "phish'), "are not JSON"),
        (called_with('{"query": NaN}'), "are not JSON"), (called_with('{"query": "\\ud800"}'), "are not JSON"),
        (called_with("[" * 5000), "are not JSON"), (called_with('{"a":' * 100 + "1" + "}" * 100), "nested too deeply"),
        (called_with("[1]"), "no JSON object"), (called_with('"query"'), "are not JSON"),
        (called_with(7), "no JSON object"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, row: object, said: str) -> None:
    path = written(tmp_path / "rows.jsonl", GOOD, row)
    with pytest.raises(InputError, match=r"rows\.jsonl, line 2") as caught:
        read_rows([path])
    assert said in str(caught.value)


USER = {"role": "user", "content": "Hi"}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "none"}
REPLY = {"role": "assistant", "content": "Hello"}


def calling(arguments: object, **fields: object) -> dict[str, object]:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return {"role": "assistant", "content": "", "tool_calls": [call]} | fields


def function(**fields: object) -> dict[str, object]:
    return {"type": "function", "function": fields}


def conversation(*messages: object, **columns: object) -> dict[str, object]:
    return {"messages": [USER, *messages]} | columns


def consulting(call: object) -> dict[str, object]:
    return conversation(call, RESULT, REPLY)


def text_parts(*texts: str) -> list[dict[str, object]]:
    return [{"type": "text", "text": text, "image_url": None} for text in texts]


QUERY = {"query": "x", "filter": {"days": [1, 2]}}
CALLED, NO_ARGUMENTS = consulting(calling(QUERY)), consulting(calling({}))
REFUSED = conversation(REPLY | {"content": "No."})
NULLS = {"refusal": None, "annotations": [], "audio": None, "function_call": None, "tool_calls": None, "name": None}
OPENAI = {  # a row in another form, and the same row in ours
    "null content": (consulting(calling(QUERY, content=None)), CALLED),
    "JSON text": (consulting(calling(json.dumps(QUERY))), CALLED),
    "JSON text in JSON text": (consulting(calling(json.dumps(json.dumps(QUERY)))), CALLED),
    "arguments of null": (
        consulting(calling(QUERY | {"top_k": None, "filter": {"days": [1, 2], "by": None}})),
        CALLED,
    ),
    "null arguments": (consulting(calling(None)), NO_ARGUMENTS),
    "empty arguments": (consulting(calling("")), NO_ARGUMENTS),
    "a call without type and id": (
        consulting({"role": "assistant", "tool_calls": [{"id": None, "function": {"name": "f", "arguments": QUERY}}]}),
        CALLED,
    ),
    "a tool that is named": (conversation(calling(QUERY), RESULT | {"name": "f"}, REPLY), CALLED),
    "nulls beside": (conversation(REPLY | NULLS | {"reasoning_content": None, "error": None}), conversation(REPLY)),
    "no calls": (conversation(REPLY | {"tool_calls": [], "annotations": [{"type": "url_citation"}]}), GOOD),
    "parts": ({"messages": [USER | {"content": text_parts("H", "i")}, REPLY | {"content": text_parts("Hello")}]}, GOOD),
    "a refusal": (conversation(REPLY | {"content": None, "refusal": "No."}), REFUSED),
    "a part that refuses": (conversation(REPLY | {"content": [{"type": "refusal", "refusal": "No."}]}), REFUSED),
    "the newer name of a thought": (
        conversation(REPLY | {"reasoning": "Hm."}),
        conversation(REPLY | {"reasoning_content": "Hm."}),
    ),
    "a developer": (
        {"messages": [{"role": "developer", "content": "Be kind.", "name": "d"}, USER, REPLY]},
        {"messages": [{"role": "system", "content": "Be kind."}, USER, REPLY]},
    ),
    "a turn of weight 1": (conversation(REPLY | {"weight": 1}), GOOD),
    "columns of null": (GOOD | {"chosen": None, "no_loss_prefix": None, "last_turn_only": None, "tools": None}, GOOD),
    "tools that Arrow filled": (
        GOOD | {"tools": [function(name="f", parameters={"properties": {"a": {}, "b": None}})]},
        GOOD | {"tools": [function(name="f", parameters={"properties": {"a": {}}})]},
    ),
}


@pytest.mark.parametrize("case", OPENAI)
def test_rows_in_openais_own_form_train_alike(tmp_path: Path, case: str, renderer: Renderer) -> None:
    given, plain = OPENAI[case]
    one, other = (encode_row(read_rows([written(tmp_path / "rows.jsonl", row)])[0], renderer) for row in (given, plain))
    assert one == other


def test_a_row_that_went_through_arrow_trains_as_before(tmp_path: Path, renderer: Renderer) -> None:
    """Arrow gives every row the fields of all: nulls in messages, calls, arguments and tools."""
    from datasets import Dataset

    tool = function(name="f", parameters={"properties": {"query": {"type": "string"}}})
    other = function(name="g", description="G", parameters={"properties": {"top_k": {"minimum": 1}}})
    rows = [
        conversation(calling({"query": "x"}), RESULT, REPLY, tools=[tool], no_loss_prefix=None),
        conversation(calling({"top_k": 3}), RESULT, REPLY | {"reasoning_content": "Hm."}, tools=[other, tool]),
        conversation(REPLY | {"reasoning_content": "Hm. No."}, tools=[], no_loss_prefix="Hm."),
    ]
    filled = Dataset.from_list(rows).to_list()
    assert filled[0]["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"query": "x", "top_k": None}
    plain, through = (read_rows([written(tmp_path / "rows.jsonl", *some)]) for some in (rows, filled))
    assert [row.tools for row in through] == [[tool], [other, tool], []]
    assert [encode_row(row, renderer) for row in through] == [encode_row(row, renderer) for row in plain]


def labelled(row: Row, renderer: Renderer) -> str:
    return renderer.tokenizer.decode([i for i in encode_row(row, renderer)["labels"] if i != IGNORED])


def prefixed(prefix: str, **reply: str) -> Row:
    said = [("user", "Hi"), ("assistant", "Earlier."), ("user", "And?")]
    messages = [Message(role=role, content=content) for role, content in said]
    last = Message(role="assistant", content="No.", **reply)
    return Row(id="r7", messages=[*messages, last], no_loss_prefix=prefix)


def test_loss_falls_after_the_given_beginning_of_a_thought(renderer: Renderer) -> None:
    thought = "First I <think> of it. Wait, this is harmful."
    row = prefixed("First I <think> of it.", reasoning_content=thought)
    assert labelled(row, renderer).split() == ["Wait,", "this", "is", "harmful.</think>", "No.<|im_end|>"]
    without = row.model_copy(update={"no_loss_prefix": ""})
    whole = labelled(without, renderer)
    assert whole.startswith("Earlier.<|im_end|>") and "First I" in whole
    ids = [encode_row(r, renderer)["input_ids"] for r in (row, without)]
    assert renderer.tokenizer.decode(ids[0]) == renderer.tokenizer.decode(ids[1]), "the text is the same"


@pytest.mark.parametrize("prefix", ["Another beginning", "of it.", "No."])
def test_a_prefix_that_is_not_the_beginning_is_an_error(renderer: Renderer, prefix: str) -> None:
    with pytest.raises(InputError, match="row r7: the last turn's thought does not begin with no_loss_prefix"):
        encode_row(prefixed(prefix, reasoning_content="First I think of it."), renderer)
