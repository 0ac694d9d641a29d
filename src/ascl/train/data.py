"""Training rows from files, checked before anything is loaded or trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ascl.chat.messages import messages_of, without_nulls
from ascl.errors import InputError
from ascl.inputs import read_jsonl


def read_rows(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The rows of several sets, in order. A folder stands for its `train.jsonl`.

    A row needs `messages` (see `messages_of`) that hold a turn of the assistant; `tools`, `id`, `last_turn_only` and
    `no_loss_prefix` may be there. Columns and fields of tools that are null count as absent, as in messages. Raises
    InputError naming the file and line of a row that can't be trained on.
    """
    rows = []
    for path in paths:
        file = path / "train.jsonl" if path.is_dir() else path
        for number, columns in read_jsonl(file):
            row = {key: value for key, value in columns.items() if value is not None}
            try:
                _check(row)
                tools = _tools(row.get("tools", []))
            except InputError as error:
                raise InputError(f"{file}, line {number}: {error}") from error
            rows.append({"id": f"{file.stem}-{number}", "tools": []} | row | {"tools": tools})
    return rows


def _check(row: dict[str, Any]) -> None:
    if "chosen" in row:
        raise InputError("a preference pair; SFT wants rows with `messages`")
    if all(message.role != "assistant" for message in messages_of(row.get("messages"))):
        raise InputError("no turn of the assistant to learn from")
    if not isinstance(row.get("no_loss_prefix", ""), str):
        raise InputError("no_loss_prefix: a text is expected")


def _tools(tools: Any) -> list[dict[str, Any]]:
    """Tools in OpenAI's form: each a `function` with a name."""
    try:
        tools = without_nulls(tools)
    except ValueError as error:
        raise InputError(f"tools: {error}") from error
    if not isinstance(tools, list) or not all(_is_function(tool) for tool in tools):
        raise InputError("tools: a list of tools in OpenAI's form is expected, each a `function` with a `name`")
    return tools


def _is_function(tool: Any) -> bool:
    function = tool.get("function") if isinstance(tool, dict) else None
    return isinstance(function, dict) and isinstance(function.get("name"), str)
