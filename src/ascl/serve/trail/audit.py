"""The audit trail: every answer of which a client received a byte has a record, every finished one its final record.

`begun` is on disk before the first byte leaves, `finished` before the last one; after a crash the open ones are marked
`crashed` at the next start. Records are appended and chained: the hash of each holds that of the one before, so that
`verify` names the first record that was changed or taken out. Texts of queries are kept apart (if at all), and only
their keyed hash stands in the record. So are the contents of conversations, each sealed with its tenant's key, with the
hash of what was sealed in the record. Both can be erased (`erasure.py`) and the chain still holds.

SQLite in WAL mode, synchronous=FULL: one thread writes, everything that waits in one transaction.
"""

import asyncio
import hashlib
import hmac
import json
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ascl.errors import InputError
from ascl.serve.trail.tenant_keys import TENANT_KEYS, TenantKeys

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, kind TEXT NOT NULL, at REAL NOT NULL, tenant TEXT NOT NULL,
    record TEXT NOT NULL, chain TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_id ON events (id);
CREATE TABLE IF NOT EXISTS texts (id TEXT NOT NULL, tenant TEXT NOT NULL, at REAL NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS contents (seq INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
"""
AUDIT = "audit.sqlite"  # the name of the trail's file
FIRST = "0" * 64
_EVENTS = "SELECT seq, id, kind, at, tenant, record, chain FROM events ORDER BY seq"
_WITH_CONTENTS = (
    "SELECT e.seq, e.id, e.kind, e.at, e.tenant, e.record, e.chain, c.sealed"
    " FROM events e LEFT JOIN contents c ON c.seq = e.seq ORDER BY e.seq"
)


class Entry(NamedTuple):
    """What is to be written. texts: queries, kept apart from the record. content: of the conversation, to be sealed."""

    id: str
    kind: str
    tenant: str
    record: dict[str, Any]
    texts: tuple[str, ...] = ()
    content: bytes = b""


class AuditError(Exception):
    """A record could not be written: no answer may leave."""


class AuditStore:
    """The trail in one folder: `audit.sqlite`, `audit.key` for the hashes of texts, and the keys of tenants.

    committed: is told of the seconds that each writing took, in the thread that writes.
    """

    def __init__(self, folder: Path, committed: Callable[[float], None] = lambda seconds: None) -> None:
        self.committed = committed
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.secret = folder / AUDIT, _secret(folder / "audit.key")
        self.tenant_keys = TenantKeys(folder / TENANT_KEYS)
        self._queue: queue.SimpleQueue[tuple[Entry, asyncio.Future[None], asyncio.AbstractEventLoop] | None] = (
            queue.SimpleQueue()
        )
        try:
            with closing(_open(self.path)) as connection:
                self._mark_crashed(connection)
        except sqlite3.Error as error:
            raise InputError(f"{self.path}: it is no audit trail that can be written ({error})") from error
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()

    async def write(self, entry: Entry) -> None:
        """Return once the entry is on disk. Raises AuditError where it can't be written."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._queue.put((entry, written, loop))
        await written

    def hashed(self, tenant: str, text: str) -> str:
        """The keyed hash of a text: short prompts could be guessed from a plain one."""
        return hmac.new(self.secret, f"{tenant}\0{text}".encode(errors="replace"), hashlib.sha256).hexdigest()[:32]

    def close(self) -> None:
        """Write what waits and stop."""
        self._queue.put(None)
        self._thread.join()

    def _mark_crashed(self, connection: sqlite3.Connection) -> None:
        still_open = connection.execute(
            "SELECT id, tenant FROM events GROUP BY id HAVING SUM(kind != 'begun') = 0 ORDER BY MIN(seq)"
        ).fetchall()
        _append(connection, [Entry(id, "crashed", tenant, {}) for id, tenant in still_open], self.tenant_keys)

    def _write(self) -> None:
        connection: sqlite3.Connection | None = None
        going = True
        while going:
            waiting = [self._queue.get()]
            while not self._queue.empty():
                waiting.append(self._queue.get())
            going = None not in waiting
            batch = [one for one in waiting if one is not None]
            problem: AuditError | None = None
            try:
                connection = connection or _open(self.path)
                began = time.monotonic()
                _append(connection, [entry for entry, _, _ in batch], self.tenant_keys)
                self.committed(time.monotonic() - began)
            except (sqlite3.Error, OSError, ValueError) as error:
                problem, connection = AuditError(str(error)), None
            for loop in {loop for _, _, loop in batch}:
                waiting_there = [written for _, written, its_loop in batch if its_loop is loop]
                with suppress(RuntimeError):  # it has ended
                    loop.call_soon_threadsafe(_settle, waiting_there, problem)
        if connection is not None:
            connection.close()


def verify(path: Path) -> tuple[int, int | None]:
    """How many records the trail has, and the number of the first that does not fit the chain (None: all fit).

    A record does not fit either where the content kept of it is not the one that was sealed for it. An erased one fits.
    """
    chain, count = FIRST, 0
    try:
        with closing(opened(path)) as connection, connection:
            connection.execute("BEGIN")  # all of it is read as it is now
            for *columns, found, sealed in connection.execute(_WITH_CONTENTS):
                chain = _chained(chain, *columns)
                told = sealed is None or _digest(sealed) in columns[-1]
                if columns[0] != count + 1 or chain != found or not told:
                    return count, count + 1
                count += 1
            beyond = "SELECT EXISTS (SELECT 1 FROM contents WHERE seq NOT BETWEEN 1 AND ?)"
            (cut,) = connection.execute(beyond, (count,)).fetchone()
            return count, count + 1 if cut else None
    except sqlite3.Error as error:
        raise InputError(f"{path}: it is no audit trail ({error})") from error


ENDS = ("finished", "failed", "aborted")  # the kinds of events that end an answer, which kept queries belong to


def export(path: Path, tenant: str | None = None, since: float = 0.0) -> Iterator[dict[str, Any]]:
    """The records of a trail, oldest first, each with its number, id, kind, time and tenant, and the texts kept."""
    with closing(opened(path)) as connection:
        texts: dict[str, list[str]] = {}
        for id, text in connection.execute("SELECT id, text FROM texts ORDER BY rowid"):
            texts.setdefault(id, []).append(text)
    for seq, id, kind, at, of, record, _ in _rows(path):
        if at >= since and tenant in (None, of):
            columns = {"seq": seq, "id": id, "kind": kind, "at": at, "tenant": of}
            row = columns | _said(path, seq, record) | columns
            yield row | {"queries": texts[id]} if kind in ENDS and id in texts else row


def _append(connection: sqlite3.Connection, entries: list[Entry], keys: TenantKeys) -> None:
    """Write entries in one transaction, each chained to the one before."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        last = connection.execute("SELECT seq, chain FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        seq, chain = last or (0, FIRST)
        for entry in entries:
            seq, at = seq + 1, time.time()
            sealed = keys.seal(entry.tenant, seq, entry.content) if entry.content else None
            said = entry.record | ({"content": _digest(sealed)} if sealed else {})
            record = json.dumps(said, ensure_ascii=False, sort_keys=True)
            chain = _chained(chain, seq, entry.id, entry.kind, at, entry.tenant, record)
            row = (seq, entry.id, entry.kind, at, entry.tenant, record, chain)
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            for text in entry.texts:
                connection.execute("INSERT INTO texts VALUES (?, ?, ?, ?)", (entry.id, entry.tenant, at, text))
            if sealed:
                connection.execute("INSERT INTO contents VALUES (?, ?)", (seq, sealed))


def _chained(before: str, seq: int, id: str, kind: str, at: float, tenant: str, record: str) -> str:
    said = json.dumps([before, seq, id, kind, at, tenant, record], ensure_ascii=False)
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()


def _digest(sealed: bytes) -> str:
    return hashlib.sha256(sealed).hexdigest()


def _settle(entries: "list[asyncio.Future[None]]", problem: AuditError | None) -> None:
    for written in entries:
        if written.done():  # the client has left
            continue
        if problem is None:
            written.set_result(None)
        else:
            written.set_exception(problem)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.executescript(SCHEMA)
    return connection


def opened(path: Path) -> sqlite3.Connection:
    """A connection to a trail that is there. Raises InputError or sqlite3.Error."""
    if not path.is_file():
        raise InputError(f"{path}: there is no audit trail")
    return _open(path)


def _rows(path: Path) -> Iterator[tuple[int, str, str, float, str, str, str]]:
    try:
        with closing(opened(path)) as connection:
            yield from connection.execute(_EVENTS)
    except sqlite3.Error as error:
        raise InputError(f"{path}: it is no audit trail ({error})") from error


def _said(path: Path, seq: int, record: str) -> dict[str, Any]:
    try:
        said = json.loads(record)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise InputError(f"{path}, record {seq}: it is damaged (`ascl audit verify` checks all)")
    return said


def _secret(path: Path) -> bytes:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()
