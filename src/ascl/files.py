"""Files that survive a kill: whole-file writes are atomic, appended records are whole."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ascl.errors import InputError
from ascl.inputs import read_jsonl, records


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write the new content of `path` to; it takes the place of the old once it is whole and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    with _replacing(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def json_line(row: dict[str, Any]) -> bytes:
    """One record as it stands in a JSONL file."""
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    with _replacing(path) as file:
        file.writelines(map(json_line, rows))


def append_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Append records and have them on disk before returning. A torn last line is cut by `read_finished`."""
    append_lines(path, map(json_line, rows))


def append_lines(path: Path, lines: Iterable[bytes]) -> None:
    """`append_jsonl` for records that are written out already (see `json_line`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(lines))
        file.flush()
        os.fsync(file.fileno())


def read_finished(path: Path) -> list[dict[str, Any]]:
    """The whole records of a file that is being appended to. What a kill left of a last record is removed.

    Raises InputError naming the file and line where another line is damaged.
    """
    cut_torn_line(path)
    return [row for _, row in read_jsonl(path)] if path.exists() else []


def cut_torn_line(path: Path) -> None:
    """Remove what a kill left of the last record of a file that is being appended to."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        at = end = file.seek(0, os.SEEK_END)
        while at > 0:
            first = max(at - 65536, 0)
            file.seek(first)
            newline = file.read(at - first).rfind(b"\n")
            if newline >= 0:
                at = first + newline + 1
                break
            at = first
        if at < end:
            file.truncate(at)


def index_jsonl(path: Path, key: Callable[[dict[str, Any]], Any]) -> dict[str, int]:
    """Where each record of a file begins (a byte offset), by its key, in the order of the file.

    Raises InputError naming the file and line of a record that is damaged, has no key (a text), or comes twice.
    """
    offsets: dict[str, int] = {}
    for number, offset, row in records(path):
        try:
            name = key(row)
        except (KeyError, TypeError):
            name = None
        if not isinstance(name, str):
            raise InputError(f"{path}, line {number}: not a record of this kind")
        if name in offsets:
            raise InputError(f"{path}, line {number}: {name} is there a second time")
        offsets[name] = offset
    return offsets


def sort_jsonl(path: Path, offsets: dict[str, int]) -> None:
    """Put the records of a file in the order of their keys, one record in memory at a time, atomically."""
    names = sorted(offsets)
    if names == list(offsets):
        return
    with path.open("rb") as file, _replacing(path) as new:
        for name in names:
            file.seek(offsets[name])
            new.write(file.readline())
