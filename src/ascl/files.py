"""Files that survive a kill: whole-file writes are atomic, appended records are whole."""

import codecs
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import yaml

from ascl.errors import InputError


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
    for number, offset, row in _records(path):
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


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, or of a UTF-16 file with its byte order mark. Raises InputError naming the file."""
    try:
        with path.open("rb") as file:
            wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        return path.read_text(encoding="utf-16" if wide else "utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: can't be read as UTF-8 text ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: can't be read as UTF-8 text ({error}); save it as UTF-8") from error


class _YamlLoader(yaml.SafeLoader):
    """Safe YAML in which a doubled key is an error, as YAML 1.2 says; PyYAML keeps the last and says nothing."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """The mapping; a key that a merge (`<<`) brings in may be there again, which overrides it."""
        node = super().compose_mapping_node(anchor)
        first: dict[Any, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            name = key.value if key.tag == "tag:yaml.org,2002:value" else self.construct_object(key)  # the key `=`
            if name in first:
                problem = f"the key `{key.value}` is there twice, first in line {first[name]}; keep one of the two"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            first[name] = line
        return node


def parse_yaml(path: Path, text: str) -> Any:
    """The value of a YAML text that was read from `path`. Raises InputError naming the file and the line."""
    try:
        return yaml.load(text, Loader=_YamlLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date or number that can't be
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line}: not YAML ({getattr(error, 'problem', None) or error})") from error


def read_json(path: Path) -> Any:
    """The value of a JSON file. Raises InputError naming the file, and the line where the JSON breaks."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise InputError(f"{path}: can't be read: nested too deeply") from error


def read_jsonl(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers. Blank lines are skipped.

    Raises InputError naming the file and line where one is missing, not UTF-8, not JSON, or not an object.
    """
    return list(iterate_jsonl(path))


def iterate_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """`read_jsonl` one object at a time, for files that are larger than memory."""
    return ((number, row) for number, _, row in _records(path))


def _records(path: Path) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers and byte offsets."""
    try:
        offset = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip(b"\xef\xbb\xbf \t\r\n"):  # a byte order mark may stand in front
                    yield number, offset, _record(path, number, line)
                offset += len(line)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: can't be read as UTF-8 text ({error.strerror})") from error


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {number}: can't be read as UTF-8 text ({error})") from error
    try:
        row = json.loads(text)
        if "\\u" in text:  # half a surrogate pair is JSON, but no text that could be written again
            json.dumps(row, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {number}: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise InputError(f"{path}, line {number}: a JSON object is expected")
    return row
