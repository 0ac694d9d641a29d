"""Inspect logs of strangers: whatever one holds, it is read, or one line names it and what is wrong."""

import json
import random
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from mutations import WHOLE, damage
from test_inspect_logs import made

from ascl.adapters.inspect.log_parts import read_samples
from ascl.adapters.inspect.logs import evaluation_from_log, write_logs
from ascl.errors import InputError

SAMPLE, ZSTD = "samples/0_epoch_1.json", 93
MOST_MEMORY = 1 << 30  # bytes of a process that reads bombs, Python and Inspect included
# A process that can't take the machine's memory: the command on each log, and what it took.
CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from typer.testing import CliRunner
from ascl.cli.main import app
for path in sys.argv[1:]:
    result = CliRunner().invoke(app, ["eval", "rejudge", path, "--judge", "offline"])
    print(result.exit_code, result.stderr.strip().replace(path, "LOG"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound log."""
    folder = tmp_path_factory.mktemp("logs")
    made(folder / "evaluation", epochs=1)
    return write_logs(folder / "evaluation", folder)[0]


@pytest.fixture(scope="module")
def parts(log: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(log) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, parts: dict[str, bytes], method: int = ZSTD) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def said(path: Path) -> str:
    """The line that a log gets, empty where it is read; no half an evaluation is left."""
    folder = path.with_name("back")
    try:
        evaluation_from_log(path, folder)
    except InputError as error:
        assert not list(path.parent.glob("*back*"))
        assert str(error).startswith(str(path))
        return str(error).removeprefix(str(path))
    shutil.rmtree(folder)
    return ""


def nested(sample: bytes, depth: int) -> bytes:
    """The sample with so many lists inside each other in its store."""
    value = json.loads(sample)
    value["store"]["nested"] = "HERE"
    return json.dumps(value).encode().replace(b'"HERE"', b"[" * depth + b"]" * depth)


def lying(path: Path, part: str, told: int) -> Path:
    """The log with another size of a part in its directory."""
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(part).file_size
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", told)))
    return path


def test_bombs_take_little_memory_and_end_in_a_line(parts: dict[str, bytes], tmp_path: Path) -> None:
    """In one process: bombs by their size, by a size that is a lie, by their depth and by their number of values."""
    zeros, deflated = b"0" * (65 << 20), zipfile.ZIP_DEFLATED
    logs = {
        "samples unpack": packed(tmp_path / "a.eval", parts | {SAMPLE: zeros}),
        "header unpacks": packed(tmp_path / "b.eval", parts | {"header.json": zeros[: 9 << 20]}, deflated),
        "zstd lies": lying(packed(tmp_path / "c.eval", parts | {SAMPLE: zeros}), SAMPLE, 1 << 20),
        "deflate lies": lying(packed(tmp_path / "d.eval", parts | {SAMPLE: zeros[: 9 << 20]}, deflated), SAMPLE, 9),
        "is deep": packed(tmp_path / "e.eval", parts | {SAMPLE: nested(parts[SAMPLE], 8_000)}),
        "is very deep": packed(tmp_path / "f.eval", parts | {SAMPLE: nested(parts[SAMPLE], 1_000_000)}),
        "has many values": packed(tmp_path / "g.eval", parts | {SAMPLE: b"[" + b"[]," * 500_000 + b"1]"}),
    }
    ran = subprocess.run([sys.executable, "-c", CHILD, *map(str, logs.values())], capture_output=True, text=True)
    *lines, most = ran.stdout.splitlines()
    deep = "2 ascl: LOG, samples/0_epoch_1.json: "
    assert dict(zip(logs, lines, strict=True)) == {
        "samples unpack": deep + "unpacks to more than 64 MiB, which is not read",
        "header unpacks": "2 ascl: LOG, header.json: unpacks to more than 8 MiB, which is not read",
        "zstd lies": deep + "is damaged; it unpacks to something else than was packed",
        "deflate lies": deep + "can't be unpacked (Bad CRC-32 for file 'samples/0_epoch_1.json')",
        "is deep": deep
        + "not JSON (maximum recursion depth exceeded while decoding a JSON array from a unicode string)",
        "is very deep": deep + "holds more than 1,000,000 values, which are not read",
        "has many values": deep + "holds more than 1,000,000 values, which are not read",
    }, ran.stderr
    assert int(most) < MOST_MEMORY
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".eval"]


def test_the_depth_of_a_sample_is_bounded(parts: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "deep.eval"
    assert not said(packed(path, parts | {SAMPLE: nested(parts[SAMPLE], 98)}))
    assert (
        said(packed(path, parts | {SAMPLE: nested(parts[SAMPLE], 99)}))
        == f", {SAMPLE}: is nested deeper than 100 levels"
    )


def directory(path: Path, entries: int, told: int) -> Path:
    """A zip that is nothing but a directory, of so many samples that have the size told."""
    names = (b"samples/%d.json" % i for i in range(entries))
    fields = (20, 20, 0, ZSTD, 0, 0x21, 0, 0, told)
    content = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\1\2", *fields, len(name), 0, 0, 0, 0, 0, 0) + name for name in names
    )
    path.write_bytes(content + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, len(content), 0, 0))
    return path


def test_the_number_of_samples_and_their_sizes_together_are_bounded(tmp_path: Path) -> None:
    whole = 64 << 20
    with pytest.raises(InputError, match=r"a\.eval: its samples unpack to more than 8 GiB, which are not read"):
        next(read_samples(directory(tmp_path / "a.eval", 129, whole)))
    with pytest.raises(InputError, match=r"b\.eval, samples/0\.json: can't be unpacked"):
        next(read_samples(directory(tmp_path / "b.eval", 128, whole)))
    with pytest.raises(InputError, match=r"c\.eval: its directory is longer than 16 MiB; it is not read"):
        next(read_samples(directory(tmp_path / "c.eval", 300_000, 1)))


def test_an_evaluation_that_did_not_end_has_a_header_of_another_name(parts: dict[str, bytes], tmp_path: Path) -> None:
    begun = {name: content for name, content in parts.items() if name != "header.json"}
    assert not said(packed(tmp_path / "begun.eval", begun))
    assert (
        said(packed(tmp_path / "begun.eval", {SAMPLE: parts[SAMPLE]}))
        == ": not a log of Inspect (it has no header.json)"
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, ZSTD])
def test_what_inspect_reads_is_read_however_it_is_packed(method: int, parts: dict[str, bytes], tmp_path: Path) -> None:
    assert not said(packed(tmp_path / "a.eval", parts, method))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_are_named(method: int, parts: dict[str, bytes], tmp_path: Path) -> None:
    line = f", header.json: can't be unpacked (Inspect does not pack by method {method})"
    assert said(packed(tmp_path / "a.eval", parts, method)) == line


def test_an_encrypted_part_is_named(log: Path, tmp_path: Path) -> None:
    path, content = tmp_path / "a.eval", bytearray(log.read_bytes())
    at = content.find(b"PK\1\2")
    while at >= 0:
        content[at + 8] |= 1
        at = content.find(b"PK\1\2", at + 1)
    path.write_bytes(content)
    assert said(path).startswith(", header.json: can't be unpacked (File ")
    assert "encrypted" in said(path)


def changed_logs(log: Path, parts: dict[str, bytes], path: Path) -> Iterator[str]:
    """The log in many forms, one after the other in `path`: what was done to it."""
    whole, dice = log.read_bytes(), random.Random(0)
    for at in dice.sample(range(len(whole)), 25):
        path.write_bytes(whole[:at])
        yield f"ends at {at}"
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1 :])
        yield f"byte {at}"
    part = path.with_suffix(".json")
    for name in ("header.json", SAMPLE):
        for what, content in WHOLE.items():
            packed(path, parts | {name: content})
            yield f"{name} {what}"
        for _ in range(25):
            part.write_bytes(parts[name])
            what, content = damage(part, dice)
            packed(path, parts | {name: content or b""})
            yield f"{name} {what}"


def test_a_damaged_log_is_read_or_one_line(log: Path, parts: dict[str, bytes], tmp_path: Path) -> None:
    read = 0
    for what in changed_logs(log, parts, tmp_path / "a.eval"):
        try:
            read += not said(tmp_path / "a.eval")
        except Exception as error:
            raise AssertionError(what) from error
    assert read
