"""The Hermes way of writing turns: `<think>..</think>`, then an answer or `<tool_call>{json}</tool_call>` blocks.

Shared by the SmolLM2 and Qwen3 dialects, whose templates differ and whose turns do not.
"""

import re

from ascl.chat.messages import StopReason
from ascl.chat.turn import ParsedCall, Turn, parse_call

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_MARKER = re.compile(r"</?(?:think|tool_call|tool_response)>|<\|\w+\|>|<｜[\w▁]+｜>")


def split_thought(text: str) -> tuple[str | None, str, bool]:
    """Cut a turn into (thought or None, the rest, whether the thought was closed)."""
    body = text.strip()
    if not body.startswith("<think>"):
        return None, body, True
    thought, closed, rest = body.removeprefix("<think>").partition("</think>")
    return thought.strip(), rest.strip(), bool(closed)


def split_calls(text: str) -> tuple[list[str], str]:
    """What stands between each `<tool_call>` and the `</tool_call>` after it, and the text without these calls."""
    calls: list[str] = []
    kept: list[str] = []
    at = 0
    while (opened := text.find(_OPEN, at)) >= 0 and (closed := text.find(_CLOSE, opened)) >= 0:
        kept.append(text[at:opened])
        calls.append(text[opened + len(_OPEN) : closed])
        at = closed + len(_CLOSE)
    return calls, "".join([*kept, text[at:]]).strip()


def parse(text: str, ended: bool) -> Turn:
    """Read one generation. A call inside an open thought is not a call: the turn counts as truncated."""
    thought, rest, closed = split_thought(text)
    if not closed:
        return Turn("", thought, ended=ended, stop=StopReason.TRUNCATED, detail="thought not closed")
    calls: list[ParsedCall] = []
    written, content = split_calls(rest)
    for text in written:
        call = parse_call(text)
        if isinstance(call, str):
            return Turn(rest, thought, ended=ended, stop=StopReason.MALFORMED, detail=call)
        calls.append(call)
    if "<tool_call>" in content and not ended:
        return Turn(rest, thought, ended=ended, stop=StopReason.TRUNCATED, detail="tool call not closed")
    if marker := _MARKER.search(f"{thought or ''} {content}"):
        return Turn(rest, thought, ended=ended, stop=StopReason.MALFORMED, detail=f"{marker.group()} out of place")
    return Turn(content, thought, calls, ended=ended)
