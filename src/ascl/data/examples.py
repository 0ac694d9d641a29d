"""Examples: prompts with a reference reply, from the public training sets or from a file."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ascl.chat import inline_thought
from ascl.chat.messages import messages_of
from ascl.data.load import check_ids, parse_file, parse_name, prompt_of, public_rows
from ascl.data.prompt import Kind, Prompt
from ascl.data.sets.source import Row
from ascl.data.sets.training import TRAINING_SETS
from ascl.errors import InputError
from ascl.inputs import iterate_jsonl
from ascl.progress import console


class Example(BaseModel):
    """A prompt with a reference reply: the thought, and the answer after it."""

    model_config = ConfigDict(extra="forbid")

    prompt: Prompt
    thought: str
    answer: str


def load_examples(names: list[str]) -> list[Example]:
    """The examples of several training sets, in order; raises InputError as `load_prompts` does.

    A name is a key of `TRAINING_SETS` or the import path of a `Source` (`@REVISION` after it for another commit of the
    hub repository), or `file:PATH` (JSONL, see `_file_rows`), and `:NUMBER` after it for that many of its first
    examples. A row whose reply can't be used is left out; a line on stderr says how many and why.
    """
    examples = [example for name in names for example in _load(name)]
    if not examples:
        raise InputError(f"examples: {', '.join(names) or 'none named'}: no example found")
    check_ids(example.prompt for example in examples)
    return examples


def split_reply(reply: str) -> tuple[str, str] | str:
    """The thought and the answer of a reply, or why it can't be used.

    The reply may lack the tag that opens its thought (some sets leave it to the chat template).
    """
    text = reply.strip()
    thought, answer, closed = inline_thought.split(inline_thought.begun(text))
    if not closed:
        return "no closed thought"
    if inline_thought.TAG.search(f"{thought}{answer}"):
        return "a second thought"
    if not thought:
        return "an empty thought"
    return (thought, answer) if answer else "an empty answer"


def _load(name: str) -> list[Example]:
    if file := parse_file(name):
        path, limit = file
        source, rows = path.name, _file_rows(path)
    else:
        wanted = parse_name(name, TRAINING_SETS, "file:PATH")
        if wanted.source.reply is None:
            raise InputError(f"prompts: {name}: has no reference replies (`reply` of its Source)")
        source, limit, rows = wanted.key, wanted.limit, public_rows(wanted, replies=True)
    unusable: Counter[str] = Counter()
    examples = list(islice(_examples(rows, source, unusable), limit))
    if unusable:
        reasons = ", ".join(f"{number} with {reason}" for reason, number in unusable.most_common())
        console.say(f"{name}: rows left out: {reasons}")
    return examples


def _examples(rows: Iterable[tuple[str, Row]], source: str, unusable: Counter[str]) -> Iterator[Example]:
    for where, row in rows:
        reply = row.pop("reply")
        if not isinstance(reply, str):
            raise InputError(f"{where}: the reply must be text")
        parts = split_reply(reply)
        if isinstance(parts, str):
            unusable[parts] += 1
        else:
            yield Example(prompt=prompt_of(row, source, where), thought=parts[0], answer=parts[1])


def _file_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """The rows of a training file as fields of prompts with their `reply`.

    A row holds `messages` (see `messages_of`) that end with the assistant's turn (its thought under
    `reasoning_content`, or inside its text, see `inline_thought.py`), or `prompt` (also called `question`) with
    `response`, or with `thought` and `answer`. `kind` (harmful where it is absent), `id`, `category` and `split` are
    read besides, and the expected `answer` and `options` of a reasoning prompt. Other columns are ignored, so that sets
    with scores and provenance can be read as they are. A column that is null counts as absent.
    """
    stem = re.sub(r"[^\w.-]+", "-", path.stem)
    for number, columns in iterate_jsonl(path):
        where = f"{path}, line {number}"
        row = {key: value for key, value in columns.items() if value is not None}
        fields = {"id": f"{stem}-{number}", "kind": Kind.HARMFUL}
        read = ["id", "kind", "category", "split"]
        if row.get("kind") == Kind.REASONING and "thought" not in row:
            read += ["answer", "options"]
        fields |= {key: row[key] for key in read if key in row}
        yield where, fields | (_from_messages(row, where) if "messages" in row else _from_columns(row, where))


def _from_messages(row: Row, where: str) -> Row:
    try:
        messages = messages_of(row["messages"])
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if not messages or messages[-1].role != "assistant" or messages[-1].tool_calls:
        raise InputError(f"{where}: messages: the last must be the assistant's answer")
    last = messages[-1]
    thought = last.reasoning_content
    reply = last.content if thought is None else inline_thought.join(thought, last.content)
    return {"messages": messages[:-1], "reply": reply}


def _from_columns(row: Row, where: str) -> Row:
    text = row.get("prompt", row.get("question"))
    if text is None:
        raise InputError(f"{where}: name the user's text `prompt` or `question`, or give `messages`")
    if "response" in row:
        return {"prompt": text, "reply": row["response"]}
    if "thought" not in row or "answer" not in row:
        raise InputError(f"{where}: give the reply as `response`, or as `thought` and `answer`")
    if not isinstance(row["thought"], str) or not isinstance(row["answer"], str):
        raise InputError(f"{where}: `thought` and `answer` must be text")
    return {"prompt": text, "reply": inline_thought.join(row["thought"], row["answer"])}
