"""Files that users name, read: each fault is one line that names the file and the place."""

import codecs
import json
import os
import re
import stat
from collections.abc import Hashable, Iterator
from itertools import count
from pathlib import Path
from typing import IO, Any

import yaml

from ascl.errors import InputError
from ascl.json_values import too_many_values

LONGEST_TEXT = 8 << 20  # bytes of a configuration or a rule book: about 25,000 rules
LONGEST_LINE = 256 << 20  # bytes of a line of JSONL, and of a JSON file
MOST_VALUES = 10_000_000  # commas and opening brackets of one, those in its texts counted: about a gigabyte of values
# How files begin that are no text, and what is to be done with them. None of them is unpacked here.
_UNPACK, _WRITE_ROWS = "unpack it first", "write its rows as JSONL, an object a line"
_PACKED = {
    b"\x1f\x8b": ("gzip", _UNPACK),
    b"PK\x03\x04": ("zip", _UNPACK),
    b"BZh91AY&SY": ("bzip2", _UNPACK),
    b"\xfd7zXZ\0": ("xz", _UNPACK),
    b"\x28\xb5\x2f\xfd": ("zstd", _UNPACK),
    b"PAR1\x15": ("Parquet", _WRITE_ROWS),
    b"ARROW1\0": ("Arrow", _WRITE_ROWS),
}
_LONGEST_NUMBER = 1000  # characters of a number in YAML; in base 60, more take time that grows with their square
_MOST_MERGED = 1_000_000  # keys that the mappings of a YAML file have together, merged ones (`<<`) counted


def open_input(path: Path) -> IO[bytes]:
    """A file that a user named, open for reading. All such files are opened here.

    Raises InputError naming it where it is none that can be read to its end: a folder, a device, a FIFO (which would
    wait for a writer for ever), a loop of links, no name of a file at all; and where it is packed, or a table in a form
    of its own.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "Is a directory" if stat.S_ISDIR(mode) else "a device, a FIFO or a socket, not a file"
            raise _unreadable(path, kind)
        with open(path, "rb", buffering=0, opener=_not_waiting) as file:
            _check_text(path, file.read(16) or b"")
        return open(path, "rb", opener=_not_waiting)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    except InputError:
        raise
    except ValueError as error:  # a NUL in the name, or half a surrogate pair
        raise InputError(f"{str(path)!a}: no name that a file could have") from error


def _check_text(path: Path, beginning: bytes) -> None:
    for magic, (name, mend) in _PACKED.items():
        if beginning.startswith(magic):
            raise InputError(f"{path}: a {name} file, where text is expected; {mend}")


def _not_waiting(path: str, flags: int) -> int:
    """Of a file that gives its lines only when there are any (`/proc/kmsg`), those that are there now are read."""
    return os.open(path, flags | os.O_NONBLOCK)


def _unreadable(path: Path, reason: object) -> InputError:
    return InputError(f"{path}: can't be read as UTF-8 text ({reason})")


def _too_long(where: str, longest: int) -> InputError:
    return InputError(f"{where}: is longer than {longest >> 20} MiB, which is not read")


def read_text(path: Path, longest: int = LONGEST_TEXT) -> str:
    """The text of a UTF-8 file, or of a UTF-16 file with its byte order mark, line breaks as `\\n`.

    Raises InputError naming the file, where it has more than `longest` bytes as well.
    """
    with open_input(path) as file:
        try:
            content = file.read(longest + 1) or b""
        except OSError as error:
            raise _unreadable(path, error.strerror) from error
    if len(content) > longest:
        raise _too_long(str(path), longest)
    wide = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: can't be read as UTF-8 text ({error}); save it as UTF-8") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if (at := text.find("\0")) >= 0:
        raise InputError(f"{path}, line {text.count(chr(10), 0, at) + 1}: a NUL character stands there; is it text?")
    return text


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
            if not isinstance(name, Hashable):
                problem = f"the key `{key.value}` is no text or number"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            if name in first:
                problem = f"the key `{key.value}` is there twice, first in line {first[name]}; keep one of the two"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            first[name] = line

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value; PyYAML's constructors raise whatever a text makes them stumble over, here it is one error."""
        try:
            if isinstance(node, yaml.ScalarNode) and node not in self.constructed_objects:  # an alias is one node
                self._check_scalar(node)
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception as error:
            problem = f"no {node.tag.rpartition(':')[2]}" + (f": {error}" if isinstance(error, ValueError) else "")
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    def _check_scalar(self, node: yaml.ScalarNode) -> None:
        if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") and len(node.value) > _LONGEST_NUMBER:
            problem = f"a number of {len(node.value)} characters"
        elif re.search("[\0\ud800-\udfff]", node.value):
            problem = "a text that holds a NUL or half a surrogate pair"
        else:
            return
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put the merged keys (`<<`) into the mapping; merges of merges must not multiply for ever."""
        super().flatten_mapping(node)
        self.merged = getattr(self, "merged", 0) + len(node.value)
        if self.merged > _MOST_MERGED:
            problem = f"mappings and merges (`<<`) of more than {_MOST_MERGED} keys together"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def parse_yaml(path: Path, text: str) -> Any:
    """The value of a YAML text that was read from `path`. Raises InputError naming the file and the line."""
    try:
        return yaml.load(text, Loader=_YamlLoader)
    except yaml.reader.ReaderError as error:  # its position counts the bytes of UTF-8
        line = text.encode().count(b"\n", 0, error.position) + 1
        raise InputError(f"{path}, line {line}: not YAML (the character U+{error.character:04X})") from error
    except yaml.MarkedYAMLError as error:
        breaks = text.count("\n")  # libyaml marks the end a line after it
        at = f", line {min(error.problem_mark.line, breaks) + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{at}: not YAML ({error.problem})") from error
    except RecursionError as error:
        raise InputError(f"{path}: not YAML that can be read: nested too deeply") from error
    except Exception as error:  # the scanner raises whatever a text makes it stumble over
        raise InputError(f"{path}: not YAML ({error})") from error


def read_json(path: Path) -> Any:
    """The value of a JSON file. Raises InputError naming the file, and the line where the JSON breaks."""
    text = read_text(path, LONGEST_LINE)
    _check_values(text.encode(), str(path))
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise InputError(f"{path}: can't be read: nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise InputError(f"{path}: not JSON: {error}") from error


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
    offset = 0
    for number, line in lines(path):
        if line.strip(b"\xef\xbb\xbf \t\r\n"):  # a byte order mark may stand in front
            yield number, offset, json_object(line, f"{path}, line {number}")
        offset += len(line)


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers. Raises InputError naming the file, and a line that is too long."""
    with open_input(path) as file:
        try:
            for number in count(1):
                line = file.readline(LONGEST_LINE + 1)
                if len(line) > LONGEST_LINE:
                    raise _too_long(f"{path}, line {number}", LONGEST_LINE)
                if not line:
                    return
                yield number, line
        except OSError as error:
            raise _unreadable(path, error.strerror) from error


def _check_values(content: bytes, where: str) -> None:
    if too_many_values(content, MOST_VALUES):
        raise InputError(f"{where}: may hold more than {MOST_VALUES} values, which is not read; split it")


def json_object(content: bytes, where: str) -> dict[str, Any]:
    """The object in a JSON text. Raises InputError that begins with `where`."""
    _check_values(content, where)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: can't be read as UTF-8 text ({error})") from error
    try:
        row = json.loads(text)
        if "\\u" in text:  # half a surrogate pair is JSON, but no text that could be written again
            json.dumps(row, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: a JSON object is expected")
    return row
