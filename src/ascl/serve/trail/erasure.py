"""What a trail keeps of texts, deleted: at a user's word, and while serving what is older than it may be kept.

Rows go in small batches, so that records are written in between, and are overwritten (secure_delete). Records stay, and
their chain holds: they have hashes of texts and contents alone.
"""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ascl.errors import InputError
from ascl.serve.keys import DAY
from ascl.serve.log import MESSAGES
from ascl.serve.trail.audit import opened
from ascl.serve.trail.tenant_keys import TENANT_KEYS, TenantKeys

BATCH = 100  # rows of a transaction
EVERY = 3600.0  # seconds between two looks for what is too old


class Erased(NamedTuple):
    """How many texts of queries and how many conversations were deleted."""

    queries: int
    conversations: int


def erase(path: Path, tenant: str | None = None, before: float | None = None) -> Erased:
    """Delete the texts and contents kept of a tenant, or from before a time, so that the files no longer hold them.

    Where their age does not matter, the key of the tenant (or of all) is destroyed first: what copies of the trail hold
    can't be read either. At last the trail is rewritten, while its gateway waits. Raises InputError, also where the
    files still hold what was deleted because another process reads them.
    """
    try:
        with closing(opened(path)) as connection:
            if before is None:
                connection.execute("BEGIN IMMEDIATE")  # nobody seals with these keys meanwhile
                TenantKeys(path.with_name(TENANT_KEYS)).destroy(tenant)
                connection.execute("COMMIT")
            queries = conversations = 0
            while any(deleted := _delete_some(connection, tenant, before)):
                queries, conversations = queries + deleted.queries, conversations + deleted.conversations
            connection.execute("VACUUM")
            if not _emptied(connection):
                raise InputError(
                    f"{path}: another process reads it, so it still holds what was deleted; erase again later"
                )
    except sqlite3.Error as error:
        raise InputError(f"{path}: it is no audit trail that can be written ({error})") from error
    return Erased(queries, conversations)


async def keep_for(path: Path, days: int) -> None:
    """Delete what is older than so many days, now and every hour, for ever."""
    while True:
        try:
            before = time.time() - days * DAY
            while any(await asyncio.to_thread(_expire, path, before)):
                pass
        except (sqlite3.Error, OSError, InputError) as error:
            MESSAGES.warning(f"{path}: what is older than {days} days could not be deleted: {error}")
        await asyncio.sleep(EVERY)


def _expire(path: Path, before: float) -> Erased:
    """Delete a batch; after the last one, empty the write-ahead log, unless another process reads it right now."""
    with closing(opened(path)) as connection:
        deleted = _delete_some(connection, None, before)
        if not any(deleted):
            _emptied(connection)
    return deleted


def _emptied(connection: sqlite3.Connection) -> bool:
    """Bring the write-ahead log into the database and empty it; False where others read it for longer than a second.

    Nobody can write in that second, and a gateway waits for ten.
    """
    connection.execute("PRAGMA busy_timeout=1000")
    busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _delete_some(connection: sqlite3.Connection, tenant: str | None, before: float | None) -> Erased:
    given = [(clause, value) for clause, value in (("tenant = ?", tenant), ("at < ?", before)) if value is not None]
    where = " AND ".join(clause for clause, _ in given) or "1"
    texts = f"SELECT rowid FROM texts WHERE {where} LIMIT {BATCH}"
    contents = f"SELECT seq FROM contents LEFT JOIN events USING (seq) WHERE {where} ORDER BY seq LIMIT {BATCH}"
    values = [value for _, value in given]
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("BEGIN IMMEDIATE")
    queries = connection.execute(f"DELETE FROM texts WHERE rowid IN ({texts})", values).rowcount
    conversations = connection.execute(f"DELETE FROM contents WHERE seq IN ({contents})", values).rowcount
    connection.execute("COMMIT")
    return Erased(queries, conversations)
