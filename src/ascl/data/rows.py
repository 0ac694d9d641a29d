"""Training rows from files, checked before anything is loaded or trained."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ascl.chat.messages import messages_of, without_nulls
from ascl.data.row import Pair, Row
from ascl.errors import InputError, first_problem
from ascl.inputs import read_jsonl

Found = TypeVar("Found")


def read_rows(paths: Sequence[Path]) -> list[Row]:
    """The rows of several sets, in order. A folder stands for its `train.jsonl`.

    A row needs `messages` (see `messages_of`) that hold a turn of the assistant; other fields of `Row` may be there.
    Columns and fields of tools that are null count as absent, as in messages. Raises InputError naming the file and
    line of a row that can't be trained on.
    """
    return list(_read(paths, _row))


def read_pairs(paths: Sequence[Path]) -> list[Pair]:
    """The preference pairs of several sets, in order. A folder stands for its `train.jsonl`.

    A pair needs `prompt`, `chosen` and `rejected` (messages; the last two one turn of the assistant); other fields of
    `Pair` may be there. Raises InputError naming the file and line of a pair that can't be trained on.
    """
    return list(_read(paths, _pair))


def prompt_ids(paths: Sequence[Path]) -> set[str]:
    """The ids of the prompts of rows or pairs. Raises InputError."""
    return set(_read(paths, lambda columns: _pair(columns).id if "chosen" in columns else _row(columns).prompt_id))


def _read(paths: Sequence[Path], read: Callable[[dict[str, Any]], Found]) -> Iterator[Found]:
    for path in paths:
        file = path / "train.jsonl" if path.is_dir() else path
        for number, columns in read_jsonl(file):
            given = {key: value for key, value in columns.items() if value is not None}
            try:
                yield read({"id": f"{file.stem}-{number}"} | given)
            except InputError as error:
                raise InputError(f"{file}, line {number}: {error}") from error


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


def _pair(columns: dict[str, Any]) -> Pair:
    if "chosen" not in columns:
        raise InputError("no preference pair; `prompt`, `chosen` and `rejected` are expected")
    read = columns | {"id": str(columns["id"])}
    for name in ("prompt", "chosen", "rejected"):
        try:
            read[name] = messages_of(columns.get(name))
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        reply = read[name][0] if len(read[name]) == 1 and name != "prompt" else None
        if name != "prompt" and (reply is None or reply.role != "assistant" or reply.tool_calls):
            raise InputError(f"{name}: one turn of the assistant without tool calls is expected")
    if columns.get("tools"):
        raise InputError("tools: pairs are trained on without tools; leave the column out")
    try:
        return Pair.model_validate({key: read[key] for key in read if key in Pair.model_fields})
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
