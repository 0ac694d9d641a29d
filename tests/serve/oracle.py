"""An independent reader of a stream: it demands what clients rely on, and puts the answer together."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Read:
    """What a stream said, choice by choice."""

    texts: dict[int, str] = field(default_factory=dict)
    thoughts: dict[int, str] = field(default_factory=dict)
    calls: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    usage: dict[str, int] | None = None
    ascl: dict[int, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    pieces: int = 0


def read_stream(content: bytes) -> Read:
    """Read a whole stream, and fail where it breaks a rule of the wire."""
    assert content.endswith(b"data: [DONE]\n\n"), content[-200:]
    events = content.split(b"\n\n")
    assert events.pop() == b""
    read, shared = Read(), set()
    for event in events[:-1]:
        if event.startswith(b":"):
            continue
        assert event.startswith(b"data: "), event
        assert b"\n" not in event
        chunk = json.loads(event[6:])
        if "error" in chunk:
            read.error = chunk["error"]
            continue
        assert read.error is None, "nothing follows an error"
        assert read.usage is None, "usage is the last thing"
        shared.add((chunk["id"], chunk["created"], chunk["model"], chunk["object"]))
        if chunk.get("usage") is not None:
            assert chunk["choices"] == []
            read.usage = chunk["usage"]
        for choice in chunk["choices"]:
            _take(read, choice, chunk.get("ascl"))
    assert len(shared) <= 1, "one id, time and model"
    if read.error is None:
        assert read.reasons.keys() == read.texts.keys()
    return read


def _take(read: Read, choice: dict[str, Any], ascl: Any) -> None:
    index, delta = choice["index"], choice["delta"]
    assert index not in read.reasons, "nothing follows a finish_reason"
    assert ("role" in delta) == (index not in read.texts), "one role, and first"
    if "role" in delta:
        assert delta["role"] == "assistant"
    text = read.texts.setdefault(index, "")
    read.pieces += bool(delta.get("content"))
    read.texts[index] = text + (delta.get("content") or "")
    assert delta.get("reasoning") == delta.get("reasoning_content")
    if delta.get("reasoning"):
        assert not delta.get("content"), "thoughts and texts come apart"
        read.thoughts[index] = read.thoughts.get(index, "") + delta["reasoning"]
    for call in delta.get("tool_calls", ()):
        known = read.calls.setdefault(index, [])
        assert call["index"] == len(known)
        assert call["id"]
        assert call["function"]["name"]
        json.loads(call["function"]["arguments"])
        known.append(call)
    if choice["finish_reason"] is not None:
        read.reasons[index] = choice["finish_reason"]
        assert (choice["finish_reason"] == "tool_calls") == (index in read.calls)
        if ascl is not None:
            read.ascl[index] = ascl
    else:
        assert ascl is None
