"""Folders in which one process works at a time, and what a killed one left in them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ascl.errors import InputError
from ascl.files import is_draft, remove_drafts
from ascl.progress import tell

_LOCK = ".lock"  # holds the id of the process that works in the folder
_held: set[int] = set()  # descriptors of the locks of this process


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make a folder and be the only process that works in it; what a killed one left of whole-file writes is removed.

    A killed one left its lock too; without it nothing is looked for, as the folder may be anything (`/`). The lock
    (flock) ends with this process, however it ends, and a process that is forked from it does not have it. A folder
    that was made for this and is empty in the end is removed again. Raises InputError naming the process that works
    there already.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock, left = _take(folder)
        here = os.open(folder, os.O_RDONLY)  # the folder itself, should it get another name meanwhile
        try:
            for inside, _, _ in os.walk(folder) if left else ():
                remove_drafts(Path(inside))
            yield
        finally:
            with suppress(FileNotFoundError):
                os.unlink(_LOCK, dir_fd=here)
            os.close(here)
            _held.discard(lock)
            os.close(lock)
    finally:
        with suppress(OSError):  # not empty
            for place in made:
                place.rmdir()


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing but what a killed process leaves, or is not there."""
    return not folder.exists() or all(path.name == _LOCK or is_draft(path) for path in folder.iterdir())


def _take(folder: Path) -> tuple[int, bool]:
    """The descriptor of the lock, and whether a process that was killed had left it."""
    path = folder / _LOCK
    while True:
        left = path.exists()
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise InputError(f"{path}: is no lock of ours but a link, a folder or a device; remove it")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(lock, 20).decode(errors="replace").strip()
            os.close(lock)
            raise InputError(
                f"{folder}: process {holder or 'of another command'} is working in it; wait until it has ended"
            ) from error
        except OSError as error:
            tell(f"{folder}: can't be locked ({error.strerror}); see to it that no other process works in it")
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), path.stat()):  # else its last holder removed it just now
                break
        os.close(lock)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    _held.add(lock)
    return lock, left


def _let_go() -> None:
    for lock in _held:
        os.close(lock)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
