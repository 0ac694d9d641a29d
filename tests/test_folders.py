"""A folder that one process works in: the lock and its end, and what a killed process leaves."""

import os
import signal
from pathlib import Path

import pytest

from ascl.errors import InputError
from ascl.folders import is_empty, working_in


def test_a_folder_is_made_and_removed_again_where_nothing_was_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model"), working_in(tmp_path / "runs" / "a"):
        assert (tmp_path / "runs" / "a").is_dir()
        raise InputError("no model")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    with working_in(tmp_path / "mine"):
        pass
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


def test_a_folder_that_is_taken_is_refused_by_name_and_process(tmp_path: Path) -> None:
    with working_in(tmp_path):
        with pytest.raises(InputError) as caught, working_in(tmp_path):
            pass
        assert str(caught.value) == f"{tmp_path}: process {os.getpid()} is working in it; wait until it has ended"
        assert is_empty(tmp_path)
        with working_in(tmp_path / "other"):
            pass
    with working_in(tmp_path):
        (tmp_path / "file").touch()
    assert [p.name for p in tmp_path.iterdir()] == ["file"] and not is_empty(tmp_path)


@pytest.mark.parametrize("kind", ["link", "link to nothing", "folder", "FIFO"])
def test_what_stands_in_the_place_of_the_lock_is_not_written_to(tmp_path: Path, kind: str) -> None:
    folder, other = tmp_path / "run", tmp_path / "notes.txt"
    folder.mkdir()
    other.write_text("mine")
    match kind:
        case "folder":
            (folder / ".lock").mkdir()
        case "FIFO":
            os.mkfifo(folder / ".lock")
        case _:
            (folder / ".lock").symlink_to(other if kind == "link" else tmp_path / "new")
    with pytest.raises(InputError, match="remove it"), working_in(folder):
        pass
    assert other.read_text() == "mine"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("left", [".lock", ".evaluation.json.123.tmp"])
def test_what_a_killed_process_leaves_makes_no_folder_full(tmp_path: Path, left: str) -> None:
    (tmp_path / left).touch()
    assert is_empty(tmp_path)
    (tmp_path / left).rename(tmp_path / left.removesuffix(".tmp").strip("."))
    assert not is_empty(tmp_path)


def test_a_child_does_not_keep_the_folder(tmp_path: Path) -> None:
    told, tell = os.pipe()
    with working_in(tmp_path):
        child = os.fork()
        if child == 0:
            os.read(told, 1)
            os._exit(0)
    with working_in(tmp_path):
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the child is still alive"
    os.write(tell, b"x")
    os.waitpid(child, 0)


def test_the_lock_ends_with_its_process_and_what_it_left_is_removed(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with working_in(tmp_path):
            (tmp_path / "sub").mkdir()
            (tmp_path / "sub" / f".a.json.{os.getpid()}.tmp").touch()
            (tmp_path / ".b.json.1.tmp").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (tmp_path / ".lock").read_text() == str(child)
    (tmp_path / "sub" / "kept").touch()
    with working_in(tmp_path):
        assert {p.name for p in tmp_path.rglob("*")} == {".lock", "sub", "kept"}
    assert {p.name for p in tmp_path.rglob("*")} == {"sub", "kept"}


def test_a_folder_that_gets_another_name_leaves_no_lock(tmp_path: Path) -> None:
    with working_in(tmp_path / "a"):
        (tmp_path / "a").rename(tmp_path / "b")
        with working_in(tmp_path / "a"):  # another folder by now
            (tmp_path / "a" / "new").touch()
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")} == {"a", "a/new", "b"}


def test_only_a_folder_that_a_killed_process_left_is_looked_through(tmp_path: Path) -> None:
    draft = tmp_path / "deep" / ".notes.json.4711.tmp"
    draft.parent.mkdir()
    draft.touch()
    with working_in(tmp_path):
        assert draft.exists()
    (tmp_path / ".lock").touch()  # as a killed process leaves it
    with working_in(tmp_path):
        assert not draft.exists()
