"""Files that users name: what is no file, is endless or holds what no parser bears is one line that names it."""

import bz2
import gzip
import io
import lzma
import os
import socket
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ascl import inputs
from ascl.data.examples import load_examples
from ascl.data.load import load_prompts
from ascl.data.rows import read_rows
from ascl.errors import InputError
from ascl.inputs import iterate_jsonl, parse_yaml, read_json, read_text
from ascl.judges.calibrate import load_calibration
from ascl.rules.load import load_rules
from ascl.run.config import load_config

READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "rules in YAML": (".yaml", load_rules), "rules in CSV": (".csv", load_rules),
    "rules in Markdown": (".md", load_rules), "a folder of rules": (".yaml", lambda path: load_rules(path.parent)),
    "a configuration": (".yaml", load_config), "prompts": (".jsonl", lambda path: load_prompts([f"file:{path}"])),
    "examples": (".jsonl", lambda path: load_examples([f"file:{path}"])),
    "training rows": (".jsonl", lambda path: read_rows([path])), "labels": (".jsonl", load_calibration),
    "JSON": (".json", read_json),
}  # fmt: skip


def fault(read: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(params=["FIFO", "zero", "null", "full", "link to zero", "socket", "folder", "loop of links"])
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Something that is there and can't be read to its end (without a suffix)."""
    path, kind = tmp_path / "it", str(request.param)
    listening = socket.socket(socket.AF_UNIX)
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        listening.bind(str(path))
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop of links":
        path.symlink_to("it")
    else:
        path.symlink_to(f"/dev/{kind.rpartition(' ')[2]}")
    yield path
    listening.close()


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_one_line_for_every_reader(reader: str, no_file: Path) -> None:
    suffix, read = READERS[reader]
    if no_file.is_dir() and suffix == ".yaml":
        pytest.skip("a folder is a source of rules")
    path = no_file.parent / "given" / f"it{suffix}"
    path.parent.mkdir()
    path.symlink_to(no_file)
    said = fault(read, path)
    assert "it" + suffix in said


LINE = b'{"id": "a", "prompt": "Where is it?", "kind": "plain"}\n'


def zipped(content: bytes, method: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr("rows.jsonl", content)
    return made.getvalue()


def parquet(column: object) -> bytes:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra `train`")
    from pyarrow.parquet import write_table

    made = pyarrow.BufferOutputStream()
    write_table(pyarrow.table({"prompt": column}), made, compression="zstd")
    return made.getvalue().to_pybytes()


# What is named instead of text: the file, and what it is called.
PACKED: dict[str, tuple[Callable[[], bytes], str]] = {
    "gzip": (lambda: gzip.compress(LINE), "gzip"),
    "gzip of 100 MB": (lambda: gzip.compress(b"a" * 100_000_000, 1), "gzip"),
    "gzip, cut": (lambda: gzip.compress(LINE * 99)[:20], "gzip"),
    "zip": (lambda: zipped(LINE, zipfile.ZIP_DEFLATED), "zip"),
    "zip, stored": (lambda: zipped(LINE, zipfile.ZIP_STORED), "zip"),
    "bzip2": (lambda: bz2.compress(LINE), "bzip2"),
    "xz": (lambda: lzma.compress(LINE), "xz"),
    "zstd": (lambda: bytes.fromhex("28b52ffd0400010000") + LINE, "zstd"),
    "Parquet": (lambda: parquet(["Where is it?"]), "Parquet"),
    "Parquet, cut": (lambda: parquet(["Where is it?"])[:60], "Parquet"),
    "Parquet of 100 MB": (lambda: parquet(["a" * 1000] * 100_000), "Parquet"),
    "Parquet, nested": (lambda: parquet([{"a": [{"b": [[1]]}]}]), "Parquet"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PACKED)
def test_what_is_packed_is_named_by_every_reader_and_not_unpacked(kind: str, tmp_path: Path) -> None:
    make, name = PACKED[kind]
    content = make()
    for reader, (suffix, read) in READERS.items():
        path = tmp_path / reader / f"it{suffix}"
        path.parent.mkdir()
        path.write_bytes(content)
        tracemalloc.start()
        said = fault(read, path)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert said.startswith(f"{path}: a {name} file"), reader
        assert most < 8 << 20, reader


@pytest.mark.parametrize("text", ["PAR1,b\n", "BZh is a name\n", "PK is a name\n", "(a\n"])
def test_texts_that_begin_like_packed_files_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert read_text(tmp_path / "a.csv") == text


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["a\0b", "half a pair \ud800", "x" * 300])
def test_what_is_no_name_of_a_file_is_one_line_for_every_reader(reader: str, name: str, tmp_path: Path) -> None:
    suffix, read = READERS[reader]
    try:
        fault(read, tmp_path / "given" / name if "folder" in reader else tmp_path / f"{name}{suffix}")
    except OSError as error:  # which the command line says in one line as well
        assert error.strerror == "File name too long"


@pytest.mark.parametrize("reader", READERS)
def test_a_file_without_end_is_not_read_into_memory(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "LONGEST_LINE", 1 << 20)
    suffix, read = READERS[reader]
    path = tmp_path / f"huge{suffix}"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of zeros that takes no room
    assert "is longer than" in fault(read, path)


def test_a_file_that_may_have_no_line_yet_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "x"  # as `/proc/kmsg`, which not everyone may read, is a file
    path.write_text("here")
    with inputs.open_input(path) as file:
        assert not os.get_blocking(file.fileno())
        assert file.read() == b"here"


def test_a_line_may_be_as_long_as_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"b": 12}\n')
    monkeypatch.setattr(inputs, "LONGEST_LINE", 10)
    assert [row for _, row in iterate_jsonl(path)] == [{"a": 1}, {"b": 12}]
    monkeypatch.setattr(inputs, "LONGEST_LINE", 9)
    with pytest.raises(InputError, match=r"rows\.jsonl, line 2: is longer than"):
        list(iterate_jsonl(path))


def test_many_small_values_are_refused_before_they_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": [[], [], []]}\n')
    monkeypatch.setattr(inputs, "MOST_VALUES", 7)
    assert inputs.read_json(path) == {"a": [[], [], []]} == next(iterate_jsonl(path))[1]
    monkeypatch.setattr(inputs, "MOST_VALUES", 6)
    for read, where in ((inputs.read_json, path), (inputs.read_jsonl, f"{path}, line 1")):
        with pytest.raises(InputError, match=rf"^{where}: may hold more than 6 values, which is not read; split it$"):
            read(path)


@pytest.mark.parametrize("suffix", [".yaml", ".csv", ".md"])
def test_a_nul_in_a_text_is_named_with_its_line(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rules{suffix}"
    path.write_bytes(b"id,category,text\r\na.b,a,x\0y\r\n")
    assert fault(load_rules, path).startswith(f"{path}, line 2: a NUL character")


def test_line_breaks_of_every_system_are_one(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("a\r\nb\rc\n".encode("utf-16"))
    assert read_text(path) == "a\nb\nc\n"


@pytest.mark.parametrize(
    "value",
    [
        "!!int ''", "!!int x", "!!int '0x'", "!!float ''", "!!float '-'", "!!bool x", "!!bool ''", "!!null x",
        "!!timestamp x", "!!timestamp ''", "!!binary é", "!!binary a", "!!seq x", "!!map x", "!!omap x", "!!set x",
        "!!pairs x", "!!omap [1]", "!!pairs [[1]]", "!!merge x", "!!value x", "!!str [1]", "!!int [1]", "!!bool {a: b}",
        "!!float {=: 1}", "{[1]: 2}", "{{a: 1}: 2}", "{? !!seq x : 1}", "{<<: 1}", "{<<: [1]}", "*a", "&a [*a]",
        "9" * 5000, "0" + ":1" * 500, "1" + ":1" * 5000, "1" + ":59" * 200 + ".5", "0x" + "f" * 5000, "1e999",
        "2024-13-45", "2024-01-01 99:00:00", "0001-01-01 00:00:00 +23:59", "!!python/name:os.system x", "!x y", "'\\0'",
        '"\\0"', '"\\ud800"', '"\\UFFFFFFFF"', '"\\x"', "%", "%TAG ! x", "@", "`", "&", "*", "!<", "|9", ">-+",
    ],
)  # fmt: skip
@pytest.mark.parametrize("frame", ["{}", "a: 1\nb: {}", "a:\n- {}\n", "{{a: {}}}"])
def test_any_yaml_value_is_read_or_is_one_line(value: str, frame: str) -> None:
    try:
        parse_yaml(Path("x.yaml"), frame.format(value))
    except InputError as error:
        assert str(error).startswith("x.yaml, line ")


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="!!intboolfas&*<{}[]:,?-|>%@`'\"\\x0\n #=~éud8", max_size=40))
@example("!!int ''")
@example("? [a]\n: b")
def test_no_yaml_text_raises_anything_else(text: str) -> None:
    try:
        parse_yaml(Path("x.yaml"), text)
    except InputError as error:
        assert str(error).startswith("x.yaml")


def test_merges_of_merges_do_not_multiply() -> None:
    keys = ", ".join(f"k{n}: 1" for n in range(2000))
    merges = "\n".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 600)}]}}" for n in range(1, 3))
    with pytest.raises(InputError, match=r"x\.yaml, line \d+: not YAML \(mappings and merges"):
        parse_yaml(Path("x.yaml"), f"a0: &a0 {{{keys}}}\n{merges}")


def test_a_folder_of_everything_is_no_rule_book(tmp_path: Path) -> None:
    for n in range(101):
        (tmp_path / f"folder{n}").mkdir()
        for m in range(100):
            (tmp_path / f"folder{n}" / f"{m}.txt").touch()
    assert fault(load_rules, tmp_path).startswith(f"{tmp_path}: holds more than 10000 files")


def test_a_table_of_endless_columns_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "rules.csv"
    path.write_text("id,category,text," + ",".join(f"c{n}" for n in range(200_000)) + "\n")
    assert "line 1: more than 1000 columns" in fault(load_rules, path)


def test_a_million_options_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    options = ", ".join(['"x"'] * 1_000_000)
    path.write_text(f'{{"id": "a", "prompt": "?", "kind": "reasoning", "answer": "A", "options": [{options}]}}\n')
    said = fault(lambda path: load_prompts([f"file:{path}"]), path)
    assert said == f"{path}, line 1: options: List should have at most 26 items after validation, not 1000000"


@pytest.mark.parametrize("source", ["starter", "gsm8k", "file:x"])
@pytest.mark.parametrize("digits", [10, 20, 5000])
def test_a_number_after_a_source_is_bounded(source: str, digits: int) -> None:
    with pytest.raises(InputError, match="the number after it must be below 1000000000"):
        load_prompts([f"{source}:{'9' * digits}"])
