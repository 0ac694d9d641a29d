"""Training files are checked line by line before anything is loaded."""

import json
from pathlib import Path

import pytest

from ascl.chat.render import Renderer
from ascl.errors import InputError
from ascl.train.data import read_rows
from ascl.train.tokens import IGNORED, encode_row

GOOD = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


def written(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_folder_stands_for_its_rows(tmp_path: Path) -> None:
    written(tmp_path / "set" / "train.jsonl", GOOD | {"id": "a"}, GOOD)
    rows = read_rows([tmp_path / "set", written(tmp_path / "more.jsonl", GOOD)])
    assert [row["id"] for row in rows] == ["a", "train-2", "more-1"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": [], "chosen": [], "rejected": []}, "a preference pair"),
        ({}, "`messages`, a list of messages, is missing"),
        ({"messages": ["Hi"]}, "`messages`, a list of messages, is missing"),
        ({"messages": [{"role": "king", "content": "Hi"}]}, "role"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "no turn of the assistant"),
        (GOOD | {"tools": "none"}, "`tools` must be a list"),
        (
            {"messages": [{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f"}}]}]},
            "tool call",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}
                ]
            },
            "tool call",
        ),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, row: object, said: str) -> None:
    path = written(tmp_path / "rows.jsonl", GOOD, row)
    with pytest.raises(InputError, match=r"rows\.jsonl, line 2") as caught:
        read_rows([path])
    assert said in str(caught.value)


def test_tool_arguments_may_be_json_text(tmp_path: Path, renderer: Renderer) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"query": "x"}'}}
    as_text = {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    }
    as_object = json.loads(json.dumps(as_text))
    as_object["messages"][1]["tool_calls"][0]["function"]["arguments"] = {"query": "x"}
    one, other = (encode_row({"tools": []} | row, renderer) for row in (as_text, as_object))
    assert one == other


def labelled(row: dict[str, object], renderer: Renderer) -> str:
    return renderer.tokenizer.decode([i for i in encode_row(row, renderer)["labels"] if i != IGNORED])


def test_loss_falls_behind_the_given_beginning_of_a_thought(renderer: Renderer) -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Earlier."},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": "No.", "reasoning_content": "First I <think> of it. Wait, this is harmful."},
    ]
    row = {"id": "r", "messages": messages, "tools": [], "no_loss_prefix": "First I <think> of it."}
    assert labelled(row, renderer).split() == ["Wait,", "this", "is", "harmful.</think>", "No.<|im_end|>"]
    whole = labelled(row | {"no_loss_prefix": ""}, renderer)
    assert whole.startswith("Earlier.<|im_end|>") and "First I" in whole
    ids = [encode_row(r, renderer)["input_ids"] for r in (row, row | {"no_loss_prefix": ""})]
    assert renderer.tokenizer.decode(ids[0]) == renderer.tokenizer.decode(ids[1]), "the text is the same"


@pytest.mark.parametrize("prefix", ["Another beginning", "of it.", "No."])
def test_a_prefix_that_is_not_the_beginning_is_an_error(renderer: Renderer, prefix: str) -> None:
    reply = {"role": "assistant", "content": "No.", "reasoning_content": "First I think of it."}
    row = {"id": "r7", "messages": [{"role": "user", "content": "Hi"}, reply], "tools": [], "no_loss_prefix": prefix}
    with pytest.raises(InputError, match="row r7: the last turn's thought does not begin with no_loss_prefix"):
        encode_row(row, renderer)
