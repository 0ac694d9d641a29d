"""Training rows from files, checked before anything is loaded or trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ascl.chat.messages import message_of
from ascl.errors import InputError, first_problem
from ascl.files import read_jsonl


def read_rows(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The rows of several sets, in order. A folder stands for its `train.jsonl`.

    A row needs `messages` (OpenAI form) that hold a turn of the assistant; `tools`, `id`, `last_turn_only` and
    `no_loss_prefix` may be there. Raises InputError naming the file and line of a row that can't be trained on.
    """
    rows = []
    for path in paths:
        file = path / "train.jsonl" if path.is_dir() else path
        for number, row in read_jsonl(file):
            where = f"{file}, line {number}"
            if "chosen" in row:
                raise InputError(f"{where}: a preference pair; SFT wants rows with `messages`")
            messages = row.get("messages")
            if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
                raise InputError(f"{where}: `messages`, a list of messages, is missing")
            if not isinstance(row.get("tools") or [], list):
                raise InputError(f"{where}: `tools` must be a list")
            try:
                roles = [message_of(message).role for message in messages]
            except ValidationError as error:
                raise InputError(f"{where}: messages: {first_problem(error)}") from error
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise InputError(f"{where}: a tool call is not in the OpenAI form ({error})") from error
            if "assistant" not in roles:
                raise InputError(f"{where}: no turn of the assistant to learn from")
            rows.append({"id": f"{file.stem}-{number}", "tools": []} | row)
    return rows
