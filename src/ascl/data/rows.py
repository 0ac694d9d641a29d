"""Training rows from files, checked before anything is loaded or trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ascl.chat.messages import messages_of, without_nulls
from ascl.data.row import Row
from ascl.errors import InputError, first_problem
from ascl.inputs import read_jsonl


def read_rows(paths: Sequence[Path]) -> list[Row]:
    """The rows of several sets, in order. A folder stands for its `train.jsonl`.

    A row needs `messages` (see `messages_of`) that hold a turn of the assistant; other fields of `Row` may be there.
    Columns and fields of tools that are null count as absent, as in messages. Raises InputError naming the file and
    line of a row that can't be trained on.
    """
    rows = []
    for path in paths:
        file = path / "train.jsonl" if path.is_dir() else path
        for number, columns in read_jsonl(file):
            given = {key: value for key, value in columns.items() if value is not None}
            try:
                rows.append(_row({"id": f"{file.stem}-{number}"} | given))
            except InputError as error:
                raise InputError(f"{file}, line {number}: {error}") from error
    return rows


def _row(columns: dict[str, Any]) -> Row:
    if "chosen" in columns:
        raise InputError("a preference pair; SFT wants rows with `messages`")
    messages = messages_of(columns.get("messages"))
    if all(message.role != "assistant" for message in messages):
        raise InputError("no turn of the assistant to learn from")
    if not isinstance(columns.get("no_loss_prefix", ""), str):
        raise InputError("no_loss_prefix: a text is expected")
    columns = columns | {"messages": messages, "tools": _tools(columns.get("tools", [])), "id": str(columns["id"])}
    try:
        return Row.model_validate({key: columns[key] for key in columns if key in Row.model_fields})
    except ValidationError as error:
        raise InputError(first_problem(error)) from error


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
