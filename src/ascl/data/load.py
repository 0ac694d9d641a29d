"""Where prompts come from: the starter set, a file, or a named set (hub, or a local folder), public or the user's own.

Named sets are read from the hub by `datasets`, or from `ASCL_BENCH_DIR` where that variable names a folder that holds
them as JSONL. The sets are described in `safety_sets.py`, `reasoning_sets.py` and `training_sets.py`.
"""

import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from string import ascii_uppercase
from typing import NamedTuple

from pydantic import ValidationError

from ascl.chat.messages import Message
from ascl.data.prompt import Kind, Prompt
from ascl.data.sets.reasoning import REASONING_SETS
from ascl.data.sets.safety import SAFETY_SETS
from ascl.data.sets.source import Row, Source
from ascl.data.sets.training import TRAINING_SETS
from ascl.errors import InputError, first_problem
from ascl.extension import imported, is_import_path
from ascl.inputs import iterate_jsonl
from ascl.progress import console
from ascl.servers import data_set_cached, need_hub

STARTER = Path(__file__).with_name("starter")
SOURCES = SAFETY_SETS | REASONING_SETS | TRAINING_SETS
_NAME = re.compile(r"(?P<key>[\w.]+:[A-Za-z_]\w*|\w+)(?:@(?P<revision>[\w./-]+))?(?::(?P<limit>\d+))?", re.ASCII)
STARTER_NAME = re.compile(r"starter(?::(?P<limit>\d+))?", re.ASCII)
_FILE = re.compile(r"file:(?P<path>.+?)(?::(?P<limit>\d+))?", re.ASCII)
MOST_ROWS, MOST_BYTES = 1_000_000, 1 << 30  # of a hub set that is read whole; a small file may unpack to far more
_MOST_DIGITS = 9  # of the number after a name


class Name(NamedTuple):
    """A set as it is named: `KEY`, `KEY:LIMIT`, `KEY@REVISION` or `KEY@REVISION:LIMIT`.

    key: of `SOURCES`, or the import path of a `Source`.
    """

    key: str
    revision: str | None
    limit: int | None

    @property
    def source(self) -> Source:
        """The set. Raises InputError for an import path at which there is none."""
        return source_of(self.key)


def source_of(key: str) -> Source:
    """The set of a key of `SOURCES`, or at an import path. Raises InputError."""
    if key in SOURCES:
        return SOURCES[key]
    found = imported(key)
    if not isinstance(found, Source):
        raise InputError(f"{key}: is no ascl.data.sets.source.Source")
    return found


def load_prompts(names: list[str]) -> list[Prompt]:
    """The prompts of several sources, in order; raises InputError on an unknown name, a bad row or a doubled id.

    A name is `starter`, `file:PATH` (JSONL), a key of `SOURCES` or the import path of a `Source`, with `@REVISION`
    after a set for another commit of the hub repository, and `:NUMBER` after any of them for that many of its first
    prompts.
    """
    prompts = [prompt for name in names for prompt in _load(name)]
    if not prompts:
        raise InputError(f"prompts: {', '.join(names) or 'none named'}: no prompt found")
    check_ids(prompts)
    return prompts


def check_ids(prompts: Iterable[Prompt]) -> None:
    """Raises InputError where two prompts have the same id."""
    seen: dict[str, str] = {}
    for prompt in prompts:
        if prompt.id in seen:
            raise InputError(f"prompts: the id {prompt.id} occurs twice (in {seen[prompt.id]} and {prompt.source})")
        seen[prompt.id] = prompt.source


def _load(name: str) -> Iterator[Prompt]:
    if starter := STARTER_NAME.fullmatch(name):
        whole = (p for kind in Kind for p in _from_file(STARTER / f"{kind.value}.jsonl", "starter"))
        return islice(whole, number_after(starter["limit"], name))
    if file := parse_file(name):
        path, limit = file
        return islice(_from_file(path, path.name), limit)
    wanted = parse_name(name, SOURCES, "starter, file:PATH")
    return islice((prompt_of(row, wanted.key, where) for where, row in public_rows(wanted)), wanted.limit)


def _from_file(path: Path, source: str) -> Iterator[Prompt]:
    return (prompt_of(row, source, f"{path}, line {number}") for number, row in iterate_jsonl(path))


def number_after(text: str | None, name: str) -> int | None:
    """The number after a source's name, from its text. Raises InputError where no set could have so many prompts."""
    if text is not None and len(text) > _MOST_DIGITS:
        raise InputError(f"prompts: {name}: the number after it must be below {10**_MOST_DIGITS}")
    return None if text is None else int(text)


def parse_file(name: str) -> tuple[Path, int | None] | None:
    """The path and the number of rows of `file:PATH` or `file:PATH:NUMBER`; None for another name."""
    match = _FILE.fullmatch(name)
    return (Path(match["path"]), number_after(match["limit"], name)) if match else None


def parse_name(name: str, keys: Iterable[str], others: str) -> Name:
    """The parts of a set's name; raises InputError naming the choices where it is no key, nor the user's own."""
    match = _NAME.fullmatch(name)
    if not match or (match["key"] not in keys and not is_own(match["key"])):
        known = f"use {others}, or one of {', '.join(keys)}; or a set of your own as package.module:NAME"
        raise InputError(f"prompts: unknown source {name}; {known}")
    return Name(match["key"], match["revision"], number_after(match["limit"], name))


def is_own(key: str) -> bool:
    """Whether a key is the import path of a set of the user's own."""
    return is_import_path(key) and key.partition(":")[0] not in {*SOURCES, "starter", "file"}


def local_file(name: Name) -> Path | None:
    """The file of a set below ASCL_BENCH_DIR, or None. A revision is the hub's, so naming one means the hub."""
    folder = os.environ.get("ASCL_BENCH_DIR")
    path = Path(folder) / name.source.local if folder and name.source.local and name.revision is None else None
    return path if path and path.exists() else None


def public_rows(name: Name, replies: bool = False) -> Iterator[tuple[str, Row]]:
    """The rows of a public set as fields of prompts, each with the place where it stands.

    With `replies`, a training set's rows hold the reference reply besides, as `reply`.
    """
    source, local = name.source, local_file(name)
    if local is None:
        rows, mapping, place = _hub(name), source.row, source.hub
    else:
        rows, mapping, place = (row for _, row in iterate_jsonl(local)), source.local_row or source.row, str(local)
        if source.local_sample:
            console.say(f"{name.key}: the local file is a {source.local_sample}")
    for index, row in enumerate(rows):
        where = f"{place}, row {index + 1}"
        try:
            fields = mapping(row, index)
            if fields is not None and replies and source.reply:
                fields["reply"] = source.reply(row)
        except (AttributeError, KeyError, ValueError, TypeError) as error:
            raise InputError(f"{where}: not a row of {name.key} (field {error})") from error
        if fields is not None:
            yield where, fields


def _hub(name: Name) -> Iterable[Row]:
    source = name.source
    mend = f"set ASCL_BENCH_DIR to a folder that holds {source.local}" if source.local else "is it public?"
    need_hub(f"prompts: {name.key}", data_set_cached(source.hub), mend)
    try:
        from datasets import Dataset, load_dataset, logging

        logging.set_verbosity(logging.CRITICAL)  # what it finds wrong is raised as well
        rows = load_dataset(
            source.hub,
            source.configuration,
            split=source.split,
            revision=name.revision or source.revision,
            **source.options,
        )
    except ImportError as error:
        raise InputError(f"prompts: {name.key}: install the extra `train` to read hub sets") from error
    except Exception as error:  # the hub client raises many kinds; all mean: not to be had
        mends = []
        if source.gated:
            mends.append(f"it is gated: accept its terms at {source.page}, then run `hf auth login` or set HF_TOKEN")
        if name.revision:
            mends.append(f"check that it has a revision {name.revision}")
        else:
            mends.append(mend)
        reason = " ".join(repr(error).split())[:150]
        raise InputError(
            f"prompts: {name.key}: hub set {source.hub} can't be read ({reason}); {', or '.join(mends)}"
        ) from error
    held = (len(rows), rows.data.nbytes) if isinstance(rows, Dataset) else (0, 0)
    if name.limit is None and (held[0] > MOST_ROWS or held[1] > MOST_BYTES):
        size = f"{held[0]:,} rows, {held[1] >> 20:,} MiB"
        raise InputError(f"prompts: {name.key}: hub set {source.hub} holds {size}; put :NUMBER after its name")
    return rows


def prompt_of(row: Row, source: str, where: str) -> Prompt:
    """A prompt from `prompt` (one user text) or `messages`, and the other fields of `Prompt`."""
    fields: Row = {"source": source} | row
    if "prompt" in fields:
        fields["messages"] = [{"role": "user", "content": fields.pop("prompt")}]
    try:
        return Prompt.model_validate(fields)
    except ValidationError as error:
        problem = first_problem(error)
        if "prompt" in row:
            problem = problem.replace("messages.0.content", "prompt", 1)
        raise InputError(f"{where}: {problem}") from error


def question(prompt: Prompt) -> list[Message]:
    """The messages a model gets: the prompt's own, with the options of a multiple-choice problem listed."""
    if not prompt.options:
        return list(prompt.messages)
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(ascii_uppercase, prompt.options, strict=False))
    last = prompt.messages[-1]
    text = f"{last.content}\n{listed}\nEnd with `Answer: ` and the letter."
    return [*prompt.messages[:-1], last.model_copy(update={"content": text})]
