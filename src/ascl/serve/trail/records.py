"""Records of an audit trail, read only and by condition, while a gateway writes."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ascl.errors import InputError

COLUMNS = "seq, id, kind, at, tenant, record"


def found(path: Path, condition: str, *values: Any) -> Iterator[dict[str, Any]]:
    """The events for which a SQL condition on the columns holds, oldest first, in the form of `audit.export`.

    The texts kept of a request are not with them. Raises InputError.
    """
    with reading(path) as trail:
        for row in trail.execute(f"SELECT {COLUMNS} FROM events WHERE {condition} ORDER BY seq", values):
            yield event_of(row)


def event_of(row: tuple[Any, ...]) -> dict[str, Any]:
    """The event in a row of COLUMNS. Raises InputError where it is damaged."""
    seq, id, kind, at, tenant, record = row
    try:
        said = json.loads(record)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise InputError(f"record {seq} of the trail is damaged (`ascl audit verify` checks all)")
    return said | {"seq": seq, "id": id, "kind": kind, "at": at, "tenant": tenant}


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can't write. Raises InputError, also for what goes wrong while it is used."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise InputError(f"{path}: the audit trail can't be read ({error})") from error
