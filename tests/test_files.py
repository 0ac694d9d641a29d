"""Files that survive a kill: what stands on disk after a torn write, and what damaged files are said to be."""

import fcntl
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ascl
from ascl.errors import InputError
from ascl.files import (
    append_jsonl,
    cut_torn_line,
    index_jsonl,
    is_replaced,
    read_finished,
    remove_drafts,
    sort_jsonl,
    write_json,
    write_jsonl,
    write_text,
    written,
)
from ascl.inputs import iterate_jsonl, parse_yaml, read_jsonl, read_text

values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
rows_of_json = st.lists(st.dictionaries(st.text(), values | st.lists(values, max_size=2), max_size=3), max_size=6)
one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_folders_are_made_and_text_is_written_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    write_text(path, "Grüße\r\n\u2028x\n")
    assert path.read_bytes() == "Grüße\r\n\u2028x\n".encode()
    write_text(path, "new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["c.txt"]


@pytest.mark.parametrize("text", ["half a pair: \ud800", "x" * 100_000 + "\udfff"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, text)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["c.txt"]
    (tmp_path / "folder" / "c.txt").mkdir(parents=True)
    with pytest.raises(OSError):
        write_text(tmp_path / "folder" / "c.txt", "new")
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["c.txt"]


def test_a_reader_sees_whole_files_only_and_so_does_who_comes_after_a_kill(tmp_path: Path) -> None:
    path, size = tmp_path / "c.txt", 300_000
    script = (
        "import pathlib\nfrom ascl.files import write_text\n"
        f"path = pathlib.Path({str(path)!r})\n"
        f"while True:\n  for c in 'ab':\n    write_text(path, c * {size})\n    print(flush=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(ascl.__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        seen = set()
        try:
            for _ in range(40):
                assert writer.stdout.readline() == b"\n"  # the file exists, and the next write is under way
                seen.add(path.read_text())
        finally:
            writer.kill()
    assert seen <= {"a" * size, "b" * size}
    assert path.read_text() in {"a" * size, "b" * size}


@one_folder
@given(rows_of_json)
def test_rows_come_back_as_they_were_written(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, rows)
    assert [row for _, row in read_jsonl(path)] == rows
    assert [number for number, _ in read_jsonl(path)] == list(range(1, len(rows) + 1))
    assert read_finished(path) == rows


@one_folder
@given(rows_of_json.filter(bool), st.data())
def test_appending_goes_on_after_a_kill_at_any_byte(
    tmp_path: Path, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    path = tmp_path / "rows.jsonl"
    path.unlink(missing_ok=True)
    append_jsonl(path, rows)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])

    kept = read_finished(path)
    assert kept == rows[: whole[:cut].count(b"\n")]
    append_jsonl(path, rows[len(kept) :])
    assert path.read_bytes() == whole


def test_damage_before_the_last_line_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert read_finished(path) == [] and list(tmp_path.iterdir()) == [], "no file has no finished rows"
    path.write_bytes(b'{"a": 1}\n{"a": \n{"a": 3}\n')
    with pytest.raises(InputError, match=r"rows\.jsonl, line 2: not JSON"):
        read_finished(path)
    assert path.read_bytes() == b'{"a": 1}\n{"a": \n{"a": 3}\n'


@pytest.mark.parametrize("torn", [0, 1, 65_535, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("whole", [b"", b"{}\n", b'{"a": 1}\n{"b": 2}\n'])
def test_a_torn_line_of_any_length_is_cut(tmp_path: Path, whole: bytes, torn: int) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(whole + b"x" * torn)
    cut_torn_line(path)
    assert path.read_bytes() == whole


def test_records_are_found_and_sorted_by_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"id": "b", "text": "é\u2028"}, {"id": "c"}, {"id": "a", "text": "x" * 100_000}, {"id": "B"}]
    append_jsonl(path, rows)
    offsets = index_jsonl(path, lambda row: row["id"])
    assert list(offsets) == ["b", "c", "a", "B"]
    raw = path.read_bytes()
    for row in rows:
        assert json.loads(raw[offsets[str(row["id"])] :].split(b"\n")[0]) == row
    sort_jsonl(path, offsets)
    assert [row for _, row in read_jsonl(path)] == sorted(rows, key=lambda row: str(row["id"]))
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]
    changed = path.stat().st_mtime_ns
    sort_jsonl(path, index_jsonl(path, lambda row: row["id"]))
    assert path.stat().st_mtime_ns == changed, "a file in order is left alone"


@pytest.mark.parametrize("last", [{"name": "a"}, {"id": 1}, {"id": ["a"]}])
def test_a_record_without_a_key_of_its_own_is_named(tmp_path: Path, last: dict[str, Any]) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"id": "a"}, {"id": "b"}, last])
    with pytest.raises(InputError, match=r"rows\.jsonl, line 3: not a record of this kind"):
        index_jsonl(path, lambda row: row["id"])


def test_of_records_with_one_key_the_first_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"id": "a", "n": 1}, {"id": "b"}, {"id": "a", "n": 2}, {"id": "b"}])
    sort_jsonl(path, index_jsonl(path, lambda row: row["id"]))
    assert [row for _, row in read_jsonl(path)] == [{"id": "a", "n": 1}, {"id": "b"}]
    assert capsys.readouterr().err == f"{path}: records that are there a second time: 2; the first of each is kept\n"


def test_rows_are_read_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\ndamage\n')
    rows = iterate_jsonl(path)
    assert next(rows) == (1, {"a": 1})
    with pytest.raises(InputError, match="line 2: not JSON"):
        next(rows)
    with pytest.raises(InputError, match="no such file"):
        list(iterate_jsonl(tmp_path / "none.jsonl"))


def test_json_is_readable_by_people(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", {"name": "Grüße", "n": [1]})
    text = (tmp_path / "m.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"name": "Grüße", "n": [1]}
    assert '"name": "Grüße",\n' in text


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\r\n\n  \n{"a": "\\ud83d\\ude00"}', encoding="utf-8-sig")
    assert read_jsonl(path) == [(1, {"a": 1}), (4, {"a": "😀"})]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1}\n\n{bad}\n', "line 3: not JSON"),
        (b'{"a": 1}\n[1]\n', "line 2: a JSON object is expected"),
        (b'{"a": "\\ud800"}\n', "line 1: not JSON"),
        (b"[" * 100_000, "line 1: not JSON"),
        (b'{"a": "\xff"}\n', "can't be read as UTF-8 text"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_jsonl(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_a_text_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.txt: no such file"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(InputError, match=r"can't be read as UTF-8 text \(Is a directory\)"):
        read_text(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "x.yaml, line 1: not YAML"),
        ("a: 1\nb: c: d", "x.yaml, line 2: not YAML"),
        ("a: 2024-13-45", "x.yaml, line 1: not YAML (no timestamp: month must be in 1..12)"),
        ("a: 1\nb: \x07", "x.yaml, line 2: not YAML (the character U+0007)"),
        ("[" * 10_000, "x.yaml, line 1: not YAML"),
        ("!!python/object:os.system {}", "x.yaml, line 1: not YAML"),
        ("a: 1\nb: 2\na: 3", "x.yaml, line 3: not YAML (the key `a` is there twice, first in line 1; keep one"),
        ("a:\n- b:\n    c: 1\n    'c': 2", "x.yaml, line 4: not YAML (the key `c` is there twice, first in line 3"),
        ("{a: 1, b: {c: 1, c: 1}}", "x.yaml, line 1: not YAML (the key `c` is there twice"),
        ("yes: 1\ntrue: 2", "x.yaml, line 2: not YAML (the key `true` is there twice"),
    ],
)
def test_bad_yaml_is_named_with_file_and_line(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(Path("x.yaml"), text)
    assert str(caught.value).startswith(words)


def test_yaml_keys_may_be_merged_and_overridden() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {<<: [*a, *b], z: 4}\nd: *b\n=: 5"
    assert parse_yaml(Path("x.yaml"), text) == {
        "a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2, "z": 4}, "d": {"x": 1, "y": 3}, "=": 5,
    }  # fmt: skip


def device(path: Path, minor: int) -> Path:
    """A copy of /dev/null (3) or /dev/full (7)."""
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        path.open("wb").close()
    except OSError as error:
        pytest.skip(f"devices can't be made here ({error})")
    return path


@pytest.mark.parametrize("links", [0, 1, 2])
def test_a_device_is_written_to_and_stays_one(tmp_path: Path, links: int) -> None:
    path, full = device(tmp_path / "null", 3), device(tmp_path / "full", 7)
    for n in range(links):
        (tmp_path / f"link{n}").symlink_to(path)
        path = tmp_path / f"link{n}"
    assert not is_replaced(path)
    write_text(path, "text")
    assert (tmp_path / "null").is_char_device()
    with pytest.raises(OSError, match="No space left on device"):
        write_text(full, "text")
    assert full.is_char_device()
    assert len(list(tmp_path.iterdir())) == 2 + links


def test_a_fifo_is_written_to_where_someone_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"fifo: nobody reads it; start what reads it first"):
        write_text(path, "text")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_jsonl(path, [{"a": 1}])
    assert os.read(reader, 100) == b'{"a": 1}\n'
    os.close(reader)
    assert path.is_fifo() and len(list(tmp_path.iterdir())) == 1


def test_what_is_neither_a_file_nor_a_stream_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(InputError, match="socket: is no file"):
            write_text(tmp_path / "socket", "text")
    assert (tmp_path / "socket").is_socket()


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "target").chmod(0o600)
    for link, to in (("a", "target"), ("b", "a"), ("sub/c", "../b"), ("dangling", "new/file"), ("loop", "loop")):
        (tmp_path / link).parent.mkdir(exist_ok=True)
        (tmp_path / link).symlink_to(to)
    for link in ("a", "b", "sub/c"):
        write_text(tmp_path / link, link)
        assert (tmp_path / "target").read_text() == link and (tmp_path / link).is_symlink()
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o600, "a private file stays private"
    write_text(tmp_path / "dangling", "text")
    assert (tmp_path / "new" / "file").read_text() == "text" and (tmp_path / "dangling").is_symlink()
    with pytest.raises(OSError, match="Too many levels"):
        write_text(tmp_path / "loop", "text")
    assert {p.name for p in tmp_path.iterdir()} == {"target", "a", "b", "sub", "dangling", "loop", "new"}


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_a_descriptor_is_written_to_where_it_stands(tmp_path: Path, mode: str) -> None:
    """`--out /dev/stdout`, with stdout in a file to which other things go as well."""
    path = tmp_path / "stdout"
    path.write_bytes(b"before\n")
    with path.open(mode, buffering=0) as file:
        file.write(b"one\n")
        (tmp_path / "link").symlink_to(f"/proc/self/fd/{file.fileno()}")
        write_text(tmp_path / "link", "two\n")
        write_text(Path(f"/dev/fd/{file.fileno()}"), "three\n")
        file.write(b"four\n")
    assert path.read_bytes() == (b"before\n" if mode == "ab" else b"") + b"one\ntwo\nthree\nfour\n"


def test_drafts_of_killed_processes_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    for name in (".c.txt.1.tmp", ".c.txt.99999999.tmp", ".other.5.tmp", ".c.txt.tmp", "c.txt.5.tmp"):
        (tmp_path / name).write_text("half")
    with written(tmp_path / ".c.txt.7.tmp") as file:  # its own draft is not of this name
        file.write(b"living")
    alive = (tmp_path / ".c.txt.7.tmp").open("ab")
    fcntl.flock(alive, fcntl.LOCK_EX)
    write_text(path, "new")
    left = {".other.5.tmp", ".c.txt.tmp", "c.txt.5.tmp", ".c.txt.7.tmp", "c.txt"}
    assert {p.name for p in tmp_path.iterdir()} == left
    alive.close()
    remove_drafts(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == left - {".other.5.tmp", ".c.txt.7.tmp"}


def test_a_fifo_or_folder_with_a_drafts_name_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".a.1.tmp")
    (tmp_path / ".b.1.tmp").mkdir()
    (tmp_path / ".c.1.tmp").symlink_to("nowhere")
    remove_drafts(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_is_cut_off_what_a_link_leads_to(tmp_path: Path) -> None:
    other, link = tmp_path / "notes.txt", tmp_path / "records.jsonl"
    other.write_text("mine\nno line break here")
    link.symlink_to(other)
    with pytest.raises(InputError, match=r"records\.jsonl, line 1: not JSON"):
        read_finished(link)
    assert other.read_text() == "mine\nno line break here"
