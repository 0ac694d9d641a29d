"""One model turn as a client hands it to the rollout loop: thought, answer or calls, and what went wrong."""

import json
from dataclasses import dataclass, field
from typing import Any

from ascl.chat.messages import StopReason


@dataclass
class ParsedCall:
    """A tool call the model wrote well enough to be read; whether the tool accepts it is checked by the tool."""

    name: str
    arguments: dict[str, Any]


@dataclass
class Turn:
    """One generation of the model.

    stop is None for a sound turn; TRUNCATED for an open thought or call, MALFORMED for a call that does not parse or a
    marker out of place (`detail` says which). ended is False where the token budget cut the turn.
    """

    content: str
    thought: str | None = None
    calls: list[ParsedCall] = field(default_factory=list)
    ended: bool = True
    stop: StopReason | None = None
    detail: str = ""
    tokens: int = 0


def parse_call(text: str) -> ParsedCall | str:
    """The call written as `{"name": .., "arguments": {..}}`, or a few words saying why it can't be read."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "tool call is not JSON"
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return "tool call has no name"
    if not isinstance(value.get("arguments"), dict):
        return "tool call has no arguments object"
    return ParsedCall(value["name"], value["arguments"])
