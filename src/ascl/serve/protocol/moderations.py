"""`POST /v1/moderations` in OpenAI's form, over the guard of the gateway: each text is judged alone.

The categories are OpenAI's, all false, and those that the guard itself names, by its own names: which of them would be
which of OpenAI's is nobody's to say. A text is flagged where one of them is true.
"""

import asyncio
import secrets
import time
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ascl.serve.gateway import Gateway, api_error
from ascl.serve.guards.guard import Found, GuardFailed, case_of
from ascl.serve.keys import Key
from ascl.serve.protocol.asked import checked_fields, read_json, refuse_unknown
from ascl.serve.protocol.errors import ApiError

MOST_TEXTS, LONGEST_TEXT = 32, 100_000  # texts of a request; characters of a text
CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip


class _Fields(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    input: list[Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]] = Field(
        min_length=1, max_length=MOST_TEXTS
    )
    model: str | None = Field(default=None, max_length=512)  # whatever it names, the guard answers


async def moderated(gateway: Gateway, key: Key, content: bytes) -> dict[str, Any]:
    """The reply to a request. Raises ApiError."""
    guard = gateway.guard
    if guard is None:
        raise ApiError(404, "this gateway has no guard", "guard_not_found")
    texts = _texts(content)
    gateway.keys.meter(key).reserve(key, 0, time.time())
    pinned, verdicts = gateway.books.pin(key.book), gateway.metrics.verdicts

    async def judged(text: str) -> Found:
        try:
            found = await guard.judge(case_of([], text), pinned, alone=True)
        except GuardFailed:
            verdicts.labels("text", "unjudged").inc()
            raise
        verdicts.labels("text", "unsafe" if found.unsafe else "safe").inc()
        return found

    try:
        results = [_result(found) for found in await asyncio.gather(*map(judged, texts))]
    except GuardFailed as failed:
        raise api_error(failed) from failed
    return {"id": f"modr-{secrets.token_hex(12)}", "model": guard.name, "results": results}


def _texts(content: bytes) -> list[str]:
    body = read_json(content)
    refuse_unknown(body, ("input", "model"))
    if isinstance(body.get("input"), str):
        body["input"] = [body["input"]]
    return checked_fields(_Fields, body).input


def _result(found: Found) -> dict[str, Any]:
    named = [name for part in found.broken.split(",") if (name := part.strip())] or ["unsafe"]
    categories = dict.fromkeys(CATEGORIES, False) | dict.fromkeys(named if found.unsafe else (), True)
    return {
        "flagged": found.unsafe,
        "categories": categories,
        "category_scores": {name: float(true) for name, true in categories.items()},
        "category_applied_input_types": {name: ["text"] for name in categories},
    }
