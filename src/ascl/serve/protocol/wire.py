"""What a client receives: a chat completion, or the same as a stream of chunks with one life.

Every chunk has the same id, time and model; each choice has one role, one finish_reason; calls are numbered from 0;
usage comes once and last, and only where it was asked for. What is ours stands in the field `ascl` of the last chunk of
a choice. Thoughts go out under both of their names.
"""

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from ascl.serve.keys import Key
from ascl.serve.loop import Piece, Walked, consulted
from ascl.serve.protocol.asked import Asked
from ascl.serve.protocol.errors import ApiError

DONE = b"data: [DONE]\n\n"
compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once: most chunks are short


@dataclass
class Wire:
    """One reply. version: of the rule book it was made under."""

    key: Key
    asked: Asked
    version: str
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))
    _begun: set[int] = field(default_factory=set)

    def piece(self, index: int, piece: Piece) -> bytes:
        """The chunk of a piece; empty where the key does not show it."""
        delta: dict[str, Any] = {}
        if piece.thought and self.key.shows_thoughts:
            delta |= dict.fromkeys(("reasoning", "reasoning_content"), piece.thought)
        if piece.text:
            delta["content"] = piece.text
        return self._chunk(index, delta) if delta else b""

    def end(self, walks: list[Walked]) -> bytes:
        """The last chunks of each choice, then the usage of all their turns where it was asked for."""
        sent = b"".join(self._end(index, walked) for index, walked in enumerate(walks))
        if self.asked.include_usage:
            sent += _event(self._common() | {"choices": [], "usage": total_usage(walks)})
        return sent + DONE

    def failure(self, error: ApiError) -> bytes:
        """The end of a stream that had begun."""
        return _event(error.body()) + DONE

    def _end(self, index: int, walked: Walked) -> bytes:
        sent = b""
        if walked.calls:
            calls = [{"index": number, **call} for number, call in enumerate(walked.calls)]
            sent = self._chunk(index, {"tool_calls": calls})
        return sent + self._chunk(index, {}, walked, ascl=ours(self.key, self.version, [walked]))

    def completion(self, walks: list[Walked]) -> dict[str, Any]:
        """The whole reply as one object."""
        choices = []
        for index, walked in enumerate(walks):
            message: dict[str, Any] = {"role": "assistant", "content": walked.text or (None if walked.calls else "")}
            if self.key.shows_thoughts and (thought := walked.thought):
                message |= dict.fromkeys(("reasoning", "reasoning_content"), thought)
            if walked.calls:
                message["tool_calls"] = walked.calls
            logprobs = {"content": walked.logprobs} if walked.logprobs else None
            choices.append(
                {"index": index, "message": message, "logprobs": logprobs, "finish_reason": walked.finish_reason}
            )
        reply = self._common() | {"object": "chat.completion", "choices": choices, "usage": total_usage(walks)}
        shown = ours(self.key, self.version, walks)
        return reply | {"ascl": shown} if shown else reply

    def _common(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.asked.model,
        }

    def _chunk(
        self, index: int, delta: dict[str, Any], walked: Walked | None = None, ascl: dict[str, Any] | None = None
    ) -> bytes:
        if index not in self._begun:
            self._begun.add(index)
            delta = {"role": "assistant", **delta}
            delta.setdefault("content", None if "tool_calls" in delta else "")
        choice: dict[str, Any] = {"index": index, "delta": delta, "finish_reason": walked and walked.finish_reason}
        if walked is not None and walked.logprobs:
            choice["logprobs"] = {"content": walked.logprobs}
        chunk = self._common() | {"choices": [choice]}
        return _event(chunk | {"ascl": ascl} if ascl else chunk)


def ours(key: Key, version: str, walks: list[Walked]) -> dict[str, Any]:
    """What is ours in a reply, if the key sees it: the rules in force, what was looked up, the usage of each turn."""
    if not key.shows_consultations:
        return {}
    return {
        "rules": version,
        "consultations": [one for walked in walks for one in consulted(walked)],
        "turns": [usage for walked in walks for usage in walked.usage],
    }


def total_usage(walks: list[Walked]) -> dict[str, int]:
    """The usage of all choices."""
    totals = [walked.total for walked in walks]
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {name: sum(total[name] for total in totals) for name in names}


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + compact(body).encode() + b"\n\n"
