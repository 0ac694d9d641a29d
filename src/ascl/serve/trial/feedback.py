"""What clients say of answers: a verdict on a request of their own tenant, kept in the trail, without any text.

A request has each verdict once: one that is given again changes nothing.
"""

import asyncio
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ascl.errors import InputError
from ascl.serve.gateway import Gateway, api_error
from ascl.serve.keys import Key
from ascl.serve.protocol.asked import checked_fields, read_json, refuse_unknown
from ascl.serve.protocol.errors import ApiError
from ascl.serve.trail.audit import AuditError, Entry
from ascl.serve.trail.records import found

Verdict = Literal["over_refusal", "harmful", "good"]
LONGEST = 4096  # bytes of a body
OF_CANARY = ("over_refusal", "harmful")  # what a canary can be ended by


class Feedback(BaseModel):
    """request: its id (header `x-request-id`)."""

    model_config = ConfigDict(extra="ignore", strict=True)

    request: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    verdict: Verdict


def read_feedback(content: bytes) -> Feedback:
    """The verdict in a body. Raises ApiError (400, 413)."""
    if len(content) > LONGEST:
        raise ApiError(413, f"a verdict has {LONGEST} bytes at most")
    body = read_json(content)
    refuse_unknown(body, Feedback.model_fields)
    return checked_fields(Feedback, body)


async def take(gateway: Gateway, key: Key, given: Feedback) -> dict[str, Any]:
    """Write a verdict into the trail; what the client is told. Raises ApiError."""
    try:
        events = await asyncio.to_thread(lambda: list(found(gateway.audit.path, "id = ?", given.request)))
    except InputError as error:
        raise api_error(AuditError(str(error))) from error
    begun = next((one for one in events if one["kind"] == "begun"), None)
    if begun is None or begun["tenant"] != key.tenant:
        raise ApiError(404, "there is no request of this id", "request_not_found", "request")
    ended = next((one for one in events if one["kind"] not in ("begun", "feedback")), None)
    if ended is None:
        raise ApiError(409, "this request is still being answered", "not_ended", "request", wait=5)
    told = given.model_dump()
    if any(one["kind"] == "feedback" and one["verdict"] == given.verdict for one in events):
        return told
    record: dict[str, Any] = {"verdict": given.verdict, "key": key.id}
    withheld = any(choice["finish_reason"] == "content_filter" for choice in ended.get("choices", ()))
    if "canary" in ended and given.verdict in OF_CANARY and not withheld:  # of a guard's text no book knows
        record["canary"] = ended["canary"] | {"events": [given.verdict]}
    try:
        await gateway.audit.write(Entry(given.request, "feedback", key.tenant, record))
    except AuditError as error:
        raise api_error(error) from error
    gateway.metrics.feedback.labels(given.verdict).inc()
    if gateway.trial is not None and "canary" in record:
        await gateway.trial.count(record["canary"])
    return told
