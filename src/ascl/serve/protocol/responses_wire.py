"""What a client of the Responses API receives: a response, or the events of a stream in which it grows.

The output holds what the model said (`message`), what it thought (`reasoning`) and looked up (`mcp_call`) where the key
may see it, and the calls of the client's tools, in the order in which they came. Every item is announced, grows and is
done before the next one begins; events are numbered from 0; the last one holds the whole response, once. A whole reply
is what the same pieces make of it. What the client sent is not repeated.
"""

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from ascl.consult.tool import SERVER_NAME, SHORT_NAME
from ascl.serve.keys import Key
from ascl.serve.loop import Piece, Walked
from ascl.serve.protocol.asked import Asked
from ascl.serve.protocol.errors import ApiError
from ascl.serve.protocol.wire import compact, ours, total_usage

# Of an item that is a text: the events of its part and of its text, and where the part stands in it.
_TEXTS = {
    "message": ("content_part", "output_text", "content"),
    "reasoning": ("reasoning_summary_part", "reasoning_summary_text", "summary"),
}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}  # by how the answer ended
_ERRORS = {400: "invalid_prompt", 429: "rate_limit_exceeded"}


@dataclass
class ResponsesWire:
    """One reply. version: of the rule book it was made under. output: the items so far, the last one perhaps open."""

    key: Key
    asked: Asked
    version: str
    id: str = field(default_factory=lambda: f"resp_{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))
    output: list[dict[str, Any]] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)  # of the open item
    _events: int = 0

    def piece(self, index: int, piece: Piece) -> bytes:
        """The events of a piece; empty where the key does not show it."""
        sent = b""
        if piece.thought and self.key.shows_thoughts:
            sent += self._say("reasoning", piece.thought)
        if piece.text:
            sent += self._say("message", piece.text)
        if piece.consultation is not None and self.key.shows_consultations:
            query, hits = piece.consultation.query, piece.consultation.hits
            item = {
                "id": f"mcp_{secrets.token_hex(12)}",
                "type": "mcp_call",
                "server_label": SERVER_NAME,
                "name": SHORT_NAME,
                "arguments": json.dumps({"query": query}, ensure_ascii=False),
                "output": json.dumps([hit.id for hit in hits], ensure_ascii=False),
            }
            sent += self._begin() + self._close() + self._called(item)
        return sent

    def end(self, walks: list[Walked]) -> bytes:
        """The events that are left."""
        (walked,) = walks
        status, sent = _status(walked), self._begin()
        if status == "completed" and not walked.calls and self._open != "message":
            sent += self._close() + self._add("message")
        sent += self._close(status)
        for call in walked.calls:
            item = {"id": f"fc_{secrets.token_hex(12)}", "type": "function_call", "call_id": call["id"]}
            sent += self._called(item | call["function"])
        return sent + self._event(f"response.{status}", response=self._ended(walks))

    def failure(self, error: ApiError) -> bytes:
        """The end of a stream that had begun."""
        told = {"code": _ERRORS.get(error.status, "server_error"), "message": error.message}
        sent = self._begin() + self._close("incomplete")
        return sent + self._event("response.failed", response=self._response("failed", error=told))

    def completion(self, walks: list[Walked]) -> dict[str, Any]:
        """The whole reply as one object."""
        (walked,) = walks
        for piece in walked.given:
            self.piece(0, piece)
        self.end(walks)
        return self._ended(walks)

    @property
    def _open(self) -> str | None:
        """The type of the item that still grows."""
        last = self.output[-1] if self.output else {}
        return last["type"] if last.get("status") == "in_progress" else None

    def _begin(self) -> bytes:
        if self._events:
            return b""
        response = self._response("in_progress")
        return b"".join(self._event(f"response.{name}", response=response) for name in ("created", "in_progress"))

    def _say(self, kind: str, text: str) -> bytes:
        sent = b""
        if self._open != kind:
            text = text.lstrip("\n")  # what sets a turn apart from the one before
            sent = self._begin() + self._close() + self._add(kind) if text else b""
        if not text:
            return sent
        self._texts.append(text)
        logprobs: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
        return sent + self._event(f"response.{_TEXTS[kind][1]}.delta", delta=text, **self._place(kind), **logprobs)

    def _add(self, kind: str) -> bytes:
        """Begin an item of text."""
        part_event, _, holder = _TEXTS[kind]
        id = f"{'msg' if kind == 'message' else 'rs'}_{secrets.token_hex(12)}"
        item: dict[str, Any] = {"id": id, "type": kind, "status": "in_progress", holder: []}
        if kind == "message":
            item["role"] = "assistant"
        self.output.append(item)
        self._texts = []
        added = self._event("response.output_item.added", output_index=len(self.output) - 1, item=item)
        return added + self._event(f"response.{part_event}.added", part=_part(kind, ""), **self._place(kind))

    def _close(self, status: str = "completed") -> bytes:
        """The open item, if there is one, is done."""
        kind = self._open
        if kind is None:
            return b""
        (part_event, text_event, holder), text, place = _TEXTS[kind], "".join(self._texts), self._place(kind)
        part, item = _part(kind, text), self.output[-1]
        item |= {holder: [part], "status": status}
        logprobs: dict[str, Any] = {"logprobs": []} if kind == "message" else {}
        return (
            self._event(f"response.{text_event}.done", text=text, **place, **logprobs)
            + self._event(f"response.{part_event}.done", part=part, **place)
            + self._event("response.output_item.done", output_index=len(self.output) - 1, item=item)
        )

    def _called(self, item: dict[str, Any]) -> bytes:
        """A call, which comes whole."""
        kind, place = item["type"], {"output_index": len(self.output)}
        own = place | {"item_id": item["id"]}
        begun = {name: value for name, value in item.items() if name != "output"}
        begun |= {"arguments": "", "status": "in_progress"}
        item = item | {"status": "completed"}
        self.output.append(item)
        sent = self._event("response.output_item.added", item=begun, **place)
        if kind == "mcp_call":
            sent += self._event("response.mcp_call.in_progress", **own)
        sent += self._event(f"response.{kind}_arguments.delta", delta=item["arguments"], **own)
        sent += self._event(f"response.{kind}_arguments.done", arguments=item["arguments"], **own)
        if kind == "mcp_call":
            sent += self._event("response.mcp_call.completed", **own)
        return sent + self._event("response.output_item.done", item=item, **place)

    def _place(self, kind: str) -> dict[str, Any]:
        return {"item_id": self.output[-1]["id"], "output_index": len(self.output) - 1, f"{_TEXTS[kind][2]}_index": 0}

    def _ended(self, walks: list[Walked]) -> dict[str, Any]:
        status, total = _status(walks[0]), total_usage(walks)
        usage = {
            "input_tokens": total["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": total["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": total["total_tokens"],
        }
        details = {"reason": _INCOMPLETE[walks[0].finish_reason]} if status == "incomplete" else None
        response = self._response(status, usage=usage, incomplete_details=details)
        shown = ours(self.key, self.version, walks)
        return response | {"ascl": shown} if shown else response

    def _response(self, status: str, **fields: Any) -> dict[str, Any]:
        options = self.asked.options
        choice = options.get("tool_choice", "auto")
        response = {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": self.asked.max_tokens,
            "metadata": {},
            "model": self.asked.model,
            "output": self.output,
            "parallel_tool_calls": options.get("parallel_tool_calls", True),
            "previous_response_id": None,
            "store": False,
            "temperature": options.get("temperature"),
            "tool_choice": {"type": "function", **choice["function"]} if isinstance(choice, dict) else choice,
            "tools": [],
            "top_p": options.get("top_p"),
            "usage": None,
        }
        return response | fields

    def _event(self, type: str, **fields: Any) -> bytes:
        body = {"type": type, "sequence_number": self._events, **fields}
        self._events += 1
        return f"event: {type}\ndata: {compact(body)}\n\n".encode()


def _status(walked: Walked) -> str:
    return "incomplete" if walked.finish_reason in _INCOMPLETE else "completed"


def _part(kind: str, text: str) -> dict[str, Any]:
    if kind == "reasoning":
        return {"type": "summary_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
