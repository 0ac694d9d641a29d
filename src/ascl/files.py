"""Files that survive a kill: whole-file writes are atomic, appended records are whole."""

import errno
import fcntl
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ascl.errors import InputError
from ascl.inputs import read_jsonl, records
from ascl.progress import tell

_DRAFT = re.compile(r"\.(?P<name>.+)\.\d+\.tmp")  # of a whole-file write, with the process that writes
_LINKS = 40  # in a chain, as many as Linux follows


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A file to write the new content of `path` to; it takes the place of the old once it is whole and on disk.

    A link is followed. What is there and is no regular file is never replaced: a device, a FIFO or what a descriptor
    stands for (`/dev/stdout`) is written to as it is. Raises InputError where that can't be.
    """
    path = _followed(path)
    if not is_replaced(path):
        with _opened(path) as file:
            yield file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    remove_drafts(path.parent, path.name)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _locked(draft, "wb") as file:
            if path.exists():
                shutil.copymode(path, draft)
            yield file
            file.flush()
            os.fsync(file.fileno())
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def is_replaced(path: Path) -> bool:
    """Whether a write puts a new file at `path`. Else it is a device, a FIFO or a descriptor, which is written to."""
    path = _followed(path)
    if _is_descriptor(path):
        return False
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return True
    return stat.S_ISREG(kind) or stat.S_ISDIR(kind)


def _followed(path: Path) -> Path:
    """Where a chain of links ends. A descriptor (`/proc/self/fd/1`) is an end: it is open already."""
    for _ in range(_LINKS):
        place = Path(os.path.realpath(path.parent)) / path.name
        if _is_descriptor(place) or not place.is_symlink():
            return path if place == path.absolute() else place
        path = place.parent / os.readlink(place)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _is_descriptor(place: Path) -> bool:
    return place.parts[:2] == ("/", "proc") and place.parent.name == "fd"


def _opened(path: Path) -> IO[bytes]:
    """What is no regular file, opened to be written to, at its end where it has one."""
    if _is_descriptor(path) and path.parent.parent.name == str(os.getpid()) and path.name.isdecimal():
        return os.fdopen(os.dup(int(path.name)), "wb")
    kind = path.stat().st_mode
    if not (stat.S_ISCHR(kind) or stat.S_ISFIFO(kind) or stat.S_ISREG(kind)):
        raise InputError(f"{path}: is no file, and nothing that can be written to as one")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise InputError(f"{path}: nobody reads it; start what reads it first") from error
        raise
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "wb")


@contextmanager
def _locked(path: Path, mode: str) -> Iterator[IO[bytes]]:
    """A file that no other process writes to or removes meanwhile, if it looks for the lock first."""
    while True:
        with path.open(mode) as file:
            with suppress(OSError):  # a disk without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:  # else it was removed before it was locked
                yield file
                return


def is_draft(path: Path) -> bool:
    """Whether a file is one that a whole-file write makes before it takes the place of another."""
    return _DRAFT.fullmatch(path.name) is not None


def remove_drafts(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes left of whole-file writes in a folder: of the file `name`, or of all files.

    A draft that a process is writing right now is locked, and stays.
    """
    for draft in folder.glob(".*.tmp"):
        found = _DRAFT.fullmatch(draft.name)
        if found is None or name not in (None, found["name"]) or draft.is_symlink() or not draft.is_file():
            continue
        with suppress(OSError), draft.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    with written(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def json_line(row: dict[str, Any]) -> bytes:
    """One record as it stands in a JSONL file."""
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    with written(path) as file:
        file.writelines(map(json_line, rows))


def append_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Append records and have them on disk before returning. A torn last line is cut by `read_finished`."""
    append_lines(path, map(json_line, rows))


def append_lines(path: Path, lines: Iterable[bytes]) -> None:
    """`append_jsonl` for records that are written out already (see `json_line`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path, "ab") as file:
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
    """Remove what a kill left of the last record of a file that is being appended to.

    Where a link stands in its place, nothing is removed: what it leads to may be no file of ours.
    """
    if not path.exists() or path.is_symlink():
        return
    with _locked(path, "r+b") as file:
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

    Of records with one key it is the first. Raises InputError naming the file and line of a record that is damaged or
    has no key (a text).
    """
    offsets: dict[str, int] = {}
    for number, offset, row in records(path):
        try:
            name = key(row)
        except (KeyError, TypeError):
            name = None
        if not isinstance(name, str):
            raise InputError(f"{path}, line {number}: not a record of this kind")
        offsets.setdefault(name, offset)
    return offsets


def sort_jsonl(path: Path, offsets: dict[str, int]) -> None:
    """Put the records of a file in the order of their keys, one record in memory at a time, atomically.

    offsets: of `index_jsonl`; a record that is not in it, as it came a second time, is left out, and a line says so.
    """
    names = sorted(offsets)
    with path.open("rb") as file:
        doubled = sum(bool(line.strip()) for line in file) - len(names)
    if doubled:
        tell(f"{path}: records that are there a second time: {doubled}; the first of each is kept")
    elif names == list(offsets):
        return
    with path.open("rb") as file, written(path) as new:
        for name in names:
            file.seek(offsets[name])
            new.write(file.readline())
