"""The JSON in an Inspect log (`.eval`, a zip of JSON files), unpacked within bounds: a log may come from a stranger.

Inspect's own reader has no bounds: a small file can unpack to any size, and JSON that is nested deeply takes it memory
that grows with the square of the depth.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from io import FileIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from zstandard import ZstdDecompressor, ZstdError

from ascl.errors import InputError
from ascl.json_values import too_many_values

LONGEST_HEADER = 8 << 20  # bytes, unpacked
LONGEST_SAMPLE = 64 << 20  # bytes, unpacked
LONGEST_LOG = 8 << 30  # bytes of all samples, unpacked
LONGEST_DIRECTORY = 16 << 20  # bytes of the zip's directory: that of about 150,000 samples
MOST_VALUES = 1_000_000  # of a sample; as messages they take half a gigabyte

_HEADERS = ("header.json", "_journal/start.json")  # the second where an evaluation did not end
_ZSTD = 93  # the method by which Inspect packs
_PIECE = 1 << 20  # bytes unpacked at once
_DAMAGE = (BadZipFile, ZstdError, zlib.error, struct.error, EOFError, OSError, ValueError, OverflowError, RuntimeError)


def read_header(path: Path) -> bytes:
    """What a log says of its evaluation, as JSON. Raises InputError."""
    with _archive(path) as archive:
        parts = {part.filename: part for part in archive.infolist()}
        for name in _HEADERS:
            if name in parts:
                return _unpacked(path, archive, parts[name], LONGEST_HEADER)
    raise InputError(f"{path}: not a log of Inspect (it has no {_HEADERS[0]})")


def read_samples(path: Path) -> Iterator[tuple[str, bytes]]:
    """Where each sample of a log stands, and its JSON, one in memory at a time. Raises InputError.

    Of parts with one name it is the last, as Inspect has it: a sample that was run again.
    """
    with _archive(path) as archive:
        parts = {part.filename: part for part in archive.infolist()}
        samples = [part for name, part in parts.items() if name.startswith("samples/") and name.endswith(".json")]
        if sum(part.file_size for part in samples) > LONGEST_LOG:
            raise InputError(f"{path}: its samples unpack to more than {LONGEST_LOG >> 30} GiB, which are not read")
        for part in samples:
            yield f"{path}, {part.filename}", _unpacked(path, archive, part, LONGEST_SAMPLE)


class _File(FileIO):
    """A file that is read in small pieces only: zipfile would read a directory of any length at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LONGEST_DIRECTORY:
            raise InputError(f"{self.name}: its directory is longer than {LONGEST_DIRECTORY >> 20} MiB; it is not read")
        return super().read(size)


@contextmanager
def _archive(path: Path) -> Iterator[ZipFile]:
    with _File(path) as file:
        try:
            archive = ZipFile(file)
        except InputError:
            raise
        except _DAMAGE as error:
            raise InputError(f"{path}: not a log of Inspect, or a damaged one ({line_of(error)})") from error
        yield archive


def _unpacked(path: Path, archive: ZipFile, part: ZipInfo, longest: int) -> bytes:
    """The content of a part. No more is unpacked than the directory says, and that is looked at first."""
    where, content = f"{path}, {part.filename}", bytearray()
    if part.file_size > longest:
        raise InputError(f"{where}: unpacks to more than {longest >> 20} MiB, which is not read")
    try:
        with _opened(archive, part) as file:
            while len(content) <= part.file_size and (piece := file.read(_PIECE)):
                content += piece
    except _DAMAGE as error:
        raise InputError(f"{where}: can't be unpacked ({line_of(error)})") from error
    if len(content) != part.file_size or zlib.crc32(content) != part.CRC:
        raise InputError(f"{where}: is damaged; it unpacks to something else than was packed")
    if too_many_values(content, MOST_VALUES):
        raise InputError(f"{where}: holds more than {MOST_VALUES:,} values, which are not read")
    return bytes(content)


def _opened(archive: ZipFile, part: ZipInfo) -> Any:
    """A part, open for reading. Of zstd, zipfile unpacks a piece of any size at once; so it only finds the bytes."""
    if part.compress_type in (ZIP_STORED, ZIP_DEFLATED):
        return archive.open(part)
    if part.compress_type != _ZSTD:
        raise NotImplementedError(f"Inspect does not pack by method {part.compress_type}")
    packed = copy(part)
    packed.compress_type, packed.file_size = ZIP_STORED, part.compress_size
    del packed.CRC  # it is that of the unpacked bytes
    return ZstdDecompressor(max_window_size=LONGEST_SAMPLE).stream_reader(archive.open(packed), read_across_frames=True)


def line_of(error: Exception) -> str:
    """What an error says, in a short line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
