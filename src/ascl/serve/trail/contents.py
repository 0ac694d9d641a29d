"""The contents of conversations whose tenant consented: what was asked, and the whole of what came of it.

They are kept with the final record of a request, sealed with the tenant's key (`tenant_keys.py`).
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from ascl.chat.messages import Trajectory
from ascl.errors import InputError, first_problem
from ascl.serve.protocol.asked import Asked
from ascl.serve.trail.audit import opened
from ascl.serve.trail.tenant_keys import TENANT_KEYS, TenantKeys

if TYPE_CHECKING:
    from ascl.serve.loop import Choice  # needs aiohttp, which whoever only reads may lack


class Answer(BaseModel):
    """What a choice came to.

    calls: of the client's tools. verdict: of the guard, where there is one. limit_reached: the model lost the consult
    tool at last.
    """

    model_config = ConfigDict(extra="forbid")

    trajectory: Trajectory
    finish_reason: str
    limit_reached: bool
    deferred: int
    calls: list[dict[str, Any]]
    verdict: str | None = None


class Conversation(BaseModel):
    """A request and its answers. rules: the version. tool: as the model was offered it; None where rules were given."""

    model_config = ConfigDict(extra="forbid")

    rules: str
    asked: Asked
    tool: dict[str, Any] | None
    answers: list[Answer]


class Kept(NamedTuple):
    """A conversation of the trail. kind: how its request ended. conversation: None where its key was destroyed."""

    seq: int
    id: str
    kind: str
    at: float
    tenant: str
    conversation: Conversation | None


def content_of(rules: str, asked: Asked, choices: Sequence["Choice"]) -> bytes:
    """What is kept of a request as it stands."""
    answers = [
        Answer(
            trajectory=walked.trajectory,
            finish_reason=walked.finish_reason,
            limit_reached=walked.limit_reached,
            deferred=walked.deferred,
            calls=walked.calls,
            verdict=walked.verdict,
        )
        for walked in (choice.walked for choice in choices)
    ]
    tool = choices[0].tool
    said = Conversation(rules=rules, asked=asked, tool=None if tool is None else tool.schema, answers=answers)
    return said.model_dump_json().encode()


def conversations(
    path: Path, tenant: str | None = None, since: float = 0.0, request: str | None = None
) -> Iterator[Kept]:
    """The conversations kept in a trail, oldest first, one in memory at a time.

    tenant, since, request: of these alone. Raises InputError where a content was changed.
    """
    keys = TenantKeys(path.with_name(TENANT_KEYS))
    given = (("e.tenant = ?", tenant), ("e.at >= ?", since), ("e.id = ?", request))
    chosen = [(clause, value) for clause, value in given if value is not None]
    where = " AND ".join(clause for clause, _ in chosen)
    try:
        with closing(opened(path)) as connection:
            rows = connection.execute(
                "SELECT e.seq, e.id, e.kind, e.at, e.tenant, c.sealed FROM events e JOIN contents c ON c.seq = e.seq"
                f" WHERE {where} ORDER BY e.seq",
                [value for _, value in chosen],
            )
            for seq, id, kind, at, of, sealed in rows:
                content = keys.unseal(of, seq, sealed)
                yield Kept(seq, id, kind, at, of, None if content is None else _read(seq, content))
    except sqlite3.Error as error:
        raise InputError(f"{path}: it is no audit trail ({error})") from error


def conversation(path: Path, request: str) -> Kept:
    """The conversation of a request. Raises InputError where the trail has none, or it can't be read any more."""
    found = next(conversations(path, request=request), None)
    if found is None:
        raise InputError(
            f"{path}: there is no content of request {request}: its key has no `contents`, or it was erased"
        )
    if found.conversation is None:
        raise InputError(f"{path}: the key of tenant {found.tenant} was destroyed; request {request} can't be read")
    return found


def _read(seq: int, content: bytes) -> Conversation:
    try:
        return Conversation.model_validate_json(content)
    except ValidationError as error:
        raise InputError(f"record {seq}: another version of ascl wrote its content ({first_problem(error)})") from error
