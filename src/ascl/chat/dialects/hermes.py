"""The Hermes way of writing turns: `<think>..</think>`, then an answer or `<tool_call>{json}</tool_call>` blocks.

Shared by the SmolLM2 and Qwen3 dialects, whose templates differ and whose turns do not.
"""

import re

from ascl.chat.messages import StopReason
from ascl.chat.turn import ParsedCall, Turn, parse_call

_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_MARKER = re.compile(r"</?(?:think|tool_call|tool_response)>|<\|\w+\|>|<｜[\w▁]+｜>")


def split_thought(text: str) -> tuple[str | None, str, bool]:
    """Cut a turn into (thought or None, the rest, whether the thought was closed)."""
    body = text.strip()
    if not body.startswith("<think>"):
        return None, body, True
    thought, closed, rest = body.removeprefix("<think>").partition("</think>")
    return thought.strip(), rest.strip(), bool(closed)


def parse(text: str, ended: bool) -> Turn:
    """Read one generation. A call inside an open thought is not a call: the turn counts as truncated."""
    thought, rest, closed = split_thought(text)
    if not closed:
        return Turn("", thought, ended=ended, stop=StopReason.TRUNCATED, detail="thought not closed")
    calls: list[ParsedCall] = []
    for match in _CALL.finditer(rest):
        call = parse_call(match.group(1))
        if isinstance(call, str):
            return Turn(rest, thought, ended=ended, stop=StopReason.MALFORMED, detail=call)
        calls.append(call)
    content = _CALL.sub("", rest).strip()
    if "<tool_call>" in content and not ended:
        return Turn(rest, thought, ended=ended, stop=StopReason.TRUNCATED, detail="tool call not closed")
    if marker := _MARKER.search(f"{thought or ''} {content}"):
        return Turn(rest, thought, ended=ended, stop=StopReason.MALFORMED, detail=f"{marker.group()} out of place")
    return Turn(content, thought, calls, ended=ended)
