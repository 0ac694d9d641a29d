"""Files that users name, read: each fault is one line that names the file and the place."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ascl.errors import InputError


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


# libyaml where it is there: it is quicker by far, and bounds the nesting, in which PyYAML's own time is quadratic.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _YamlLoader(_SafeLoader):
    """Safe YAML in which a doubled key is an error, as YAML 1.2 says; PyYAML keeps the last and says nothing."""

    def construct_document(self, node: yaml.Node) -> Any:
        """The document's value, its mappings looked through before merges (`<<`) are put into them."""
        seen, waiting = {id(node)}, [node]
        while waiting:
            node_there = waiting.pop()
            if isinstance(node_there, yaml.MappingNode):
                self._check_keys(node_there)
                inner = [part for pair in node_there.value for part in pair]
            else:
                inner = node_there.value if isinstance(node_there, yaml.SequenceNode) else []
            waiting += [part for part in reversed(inner) if id(part) not in seen]
            seen.update(map(id, inner))
        return super().construct_document(node)

    def _check_keys(self, node: yaml.MappingNode) -> None:
        """Raise where a key is there twice; one that a merge brings in may be there again, which overrides it."""
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


def parse_yaml(path: Path, text: str) -> Any:
    """The value of a YAML text that was read from `path`. Raises InputError naming the file and the line."""
    try:
        return yaml.load(text, Loader=_YamlLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date or number that can't be
        mark, breaks = getattr(error, "problem_mark", None), text.count("\n")  # libyaml marks the end a line after it
        line = f", line {min(mark.line, breaks) + 1}" if mark else ""
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
    return ((number, row) for number, _, row in records(path))


def records(path: Path) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers and byte offsets (`iterate_jsonl` says what it raises)."""
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
