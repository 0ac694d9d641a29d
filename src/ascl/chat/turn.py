"""One model turn as a client hands it to the rollout loop: thought, answer or calls, and what went wrong."""

import json
from dataclasses import dataclass, field
from typing import Any

from ascl.chat.messages import StopReason

MAX_CALLS = 32  # tool calls of one turn that are run
MAX_DEPTH = 32  # objects and lists inside each other in a call's arguments
NOT_JSON = "tool call is not JSON"


@dataclass
class ParsedCall:
    """A tool call the model wrote well enough to be read; whether the tool accepts it is checked by the tool."""

    name: str
    arguments: dict[str, Any]


@dataclass
class Turn:
    """One generation of the model.

    stop is None for a sound turn; TRUNCATED for an open thought or call, MALFORMED for a call that does not parse or a
    marker out of place (`detail` says which). ended is False where the token budget cut the turn. left_in_text: a
    server sent a call as text, which its own parser should have taken out.
    """

    content: str
    thought: str | None = None
    calls: list[ParsedCall] = field(default_factory=list)
    ended: bool = True
    stop: StopReason | None = None
    detail: str = ""
    tokens: int = 0
    left_in_text: bool = False


def parse_call(text: str) -> ParsedCall | str:
    """The call written as `{"name": .., "arguments": {..}}`, or a few words saying why it can't be read."""
    try:
        value = read_json(text)
    except (ValueError, RecursionError):
        return NOT_JSON
    return read_call(value)


def read_call(value: Any) -> ParsedCall | str:
    """The call in a JSON value `{"name": .., "arguments": {..}}`, or a few words saying why it can't be read."""
    if not isinstance(value, dict):
        return "tool call has no name"
    return check_call(value.get("name"), _decoded(value.get("arguments")))


def parse_arguments(name: str, text: str) -> ParsedCall | str:
    """The call of a tool named apart, its arguments written as JSON, or a few words saying why it can't be read."""
    try:
        return check_call(name, _decoded(read_json(text)))
    except (ValueError, RecursionError):
        return NOT_JSON


def read_json(text: str) -> Any:
    """JSON as models write it: a line break or a tab inside a string may stand as it is. Raises ValueError."""
    return json.loads(text, strict=False)


def _decoded(value: Any) -> Any:
    """A value that was encoded more than once: JSON text that holds JSON text, down to what it holds in the end."""
    for _ in range(MAX_DEPTH):
        if not isinstance(value, str):
            break
        try:
            value = read_json(value)
        except (ValueError, RecursionError):
            break
    return value


def check_call(name: Any, arguments: Any) -> ParsedCall | str:
    """The call, if it can be written down again as JSON in UTF-8 (no NaN, no lone surrogate, not too deep)."""
    if not isinstance(name, str):
        return "tool call has no name"
    if not isinstance(arguments, dict):
        return "tool call has no arguments object"
    if not within(arguments, MAX_DEPTH):
        return "tool call is nested too deep"
    try:
        json.dumps([name, arguments], ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return NOT_JSON
    return ParsedCall(name, arguments)


def within(value: Any, depth: int) -> bool:
    """Whether a JSON value has at most `depth` objects and lists inside each other."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is None or (depth > 0 and all(within(item, depth - 1) for item in inner))
