"""One turn of an upstream, put together from the chunks of its stream.

Servers differ: a call's index may be missing or 0 for every call, its id blank or repeated, its arguments an object,
usage on any chunk. What comes out is a chat completion as `completion.read_turn` reads it.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from ascl.chat.turn import MAX_CALLS
from ascl.models.retry import RequestFailed

LONGEST = 8_000_000  # characters of one turn
_THOUGHTS = ("reasoning", "reasoning_content")


@dataclass
class Assembler:
    """The turn so far. `add` takes a chunk and gives the thought and the text that it brought."""

    thought: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    finish_reason: str | None = None
    usage: dict[str, int] = field(default_factory=dict)
    size: int = 0
    _places: dict[int, dict[str, Any]] = field(default_factory=dict)

    def add(self, chunk: dict[str, Any]) -> tuple[str, str]:
        """Take a chunk; returns its thought and its text. Raises RequestFailed where it reports an error."""
        if chunk.get("error"):
            raise RequestFailed("in_stream", "the upstream reported an error in its stream", passing=True)
        if isinstance(usage := chunk.get("usage"), dict):
            self.usage = read_usage(usage)
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        delta = choice.get("delta") or choice.get("message") or {}
        if not isinstance(delta, dict):
            delta = {}
        thought = next((delta[key] for key in _THOUGHTS if isinstance(delta.get(key), str) and delta[key]), "")
        text = delta.get("content") if isinstance(delta.get("content"), str) else delta.get("refusal")
        thought, text = _unicode(thought), _unicode(text if isinstance(text, str) else "")
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._add_call(call)
        found = choice.get("logprobs")
        if isinstance(found, dict) and isinstance(found.get("content"), list):
            self.logprobs += found["content"]
        if isinstance(choice.get("finish_reason"), str):
            self.finish_reason = choice["finish_reason"]
        self.size += len(thought) + len(text)
        if self.size > LONGEST:
            raise RequestFailed("too_long", f"a turn of more than {LONGEST} characters", passing=False)
        self.thought.append(thought)
        self.text.append(text)
        return thought, text

    def _add_call(self, part: dict[str, Any]) -> None:
        raw = part.get("function")
        function: dict[str, Any] = raw if isinstance(raw, dict) else {}
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments, ensure_ascii=False)
        index = part.get("index") if isinstance(part.get("index"), int) else None
        call = self._places.get(index) if index is not None else self.calls[-1] if self.calls else None
        begins = isinstance(name, str) and bool(name)
        if call is None or (begins and call["function"]["name"] and self._is_another(call, part)):
            if len(self.calls) > MAX_CALLS:
                return
            call = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
            self.calls.append(call)
        if index is not None:
            self._places[index] = call
        if begins and not call["function"]["name"]:
            call["function"]["name"] = name
        if isinstance(part.get("id"), str):
            call["id"] = call["id"] or part["id"]
        if isinstance(arguments, str):
            self.size += len(arguments)
            call["function"]["arguments"] += arguments

    @staticmethod
    def _is_another(call: dict[str, Any], part: dict[str, Any]) -> bool:
        """Whether a part with a name begins a call of its own: another id, or a call that is whole before it."""
        if part.get("id") and call["id"]:
            return bool(part["id"] != call["id"])
        try:
            json.loads(call["function"]["arguments"])
        except ValueError:
            return False
        return True

    @property
    def ended(self) -> bool:
        """Whether the upstream said how the turn ended."""
        return self.finish_reason is not None

    def completion(self) -> dict[str, Any]:
        """The turn as a chat completion."""
        message: dict[str, Any] = {"content": "".join(self.text)}
        if thought := "".join(self.thought):
            message["reasoning"] = thought
        if self.calls:
            message["tool_calls"] = self.calls
        return {"choices": [{"message": message, "finish_reason": self.finish_reason}], "usage": self.usage}


def _unicode(text: str) -> str:
    """A text without lone surrogates: JSON can hold half a character, a reply can't."""
    return text.encode(errors="replace").decode()


def read_usage(usage: dict[str, Any]) -> dict[str, int]:
    """The token counts that make sense."""
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    counts = {name: usage.get(name) for name in names}
    return {k: v for k, v in counts.items() if isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 2**40}
