"""Rules from a CSV: the columns `id`, `category` and `text`, and where wanted `title`, `exempt`; any order, any case.

The delimiter (comma, semicolon, tab or bar) is the one that finds these columns in the header.
"""

import csv
import io
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from ascl.errors import InputError
from ascl.rules.reading import Reading, check_cost

_REQUIRED = {"id", "category", "text"}
_DELIMITERS = ",;\t|"
_MOST_COLUMNS = 1000
_COSTS = {re.compile(r"\n"): 4, re.compile(rf"[{_DELIMITERS}]"): 1}  # microseconds


def read_table(file: Path, text: str, reading: Reading) -> None:
    """Add the rules of a CSV's text; blank rows are counted and left out. InputError names the file and the line."""
    check_cost(file, text, _COSTS, "CSV")
    stated = re.match(r'"?sep=(.)"?\n', text, re.IGNORECASE)  # a first line by which Excel is told the delimiter
    if stated:
        delimiter, text = stated.group(1), "\n" + text[stated.end() :]
    else:
        delimiter = max(_DELIMITERS, key=lambda delimiter: _known_columns(file, text, delimiter))
    records = _records(file, text, delimiter)
    line, header = next(filter(_is_header, records), (1, []))
    header = [name.casefold() for name in header]
    _check_header(f"{file}, line {line}", header)
    blank = 0
    for line, cells in records:
        if any(cells):
            reading.seen["row"] += 1
            _add_row(f"{file}, line {line}", header, cells, reading)
        else:
            blank += 1
    if blank:
        reading.notes.append(f"{file}: blank rows: {blank}")
    if unread := [name for name in header if name and name not in {*_REQUIRED, "title", "exempt"}]:
        reading.notes.append(f"{file}: columns that are not read: {', '.join(unread)}")


def _records(file: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record's first line and its cells, without the spaces around them."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{file}, line {reader.line_num}: not CSV ({error})") from error


def _is_header(record: tuple[int, list[str]]) -> bool:
    """The header is the first record that holds a word."""
    return any(re.search(r"\w", cell) for cell in record[1])


def _known_columns(file: Path, text: str, delimiter: str) -> int:
    """How many of the required columns a delimiter finds in the header."""
    try:
        _, header = next(filter(_is_header, _records(file, text, delimiter)), (1, []))
    except InputError:
        return 0
    return len(_REQUIRED & {name.casefold() for name in header})


def _check_header(where: str, header: list[str]) -> None:
    if len(header) > _MOST_COLUMNS:
        raise InputError(f"{where}: more than {_MOST_COLUMNS} columns")
    for name in filter(None, header):
        if header.count(name) > 1:
            raise InputError(f"{where}: the column `{name}` is there {header.count(name)} times; keep one of them")
    if missing := _REQUIRED - set(header):
        found = ", ".join(filter(None, header)) or "nothing"
        raise InputError(f"{where}: missing column(s) {', '.join(sorted(missing))}; the first row names {found}")


def _add_row(where: str, header: list[str], cells: list[str], reading: Reading) -> None:
    if any(cell and not name for cell, name in zip_longest(cells, header, fillvalue="")):
        raise InputError(f"{where}: more fields than columns; put a text that holds commas in double quotes")
    row = dict(zip_longest(header, cells[: len(header)], fillvalue=""))
    title = row.get("title") or row["category"]
    reading.add(
        where, id=row["id"], category=row["category"], title=title, text=row["text"], exempt=row.get("exempt", "")
    )
