"""The Hermes way of writing turns: `<think>..</think>`, then an answer or `<tool_call>{json}</tool_call>` blocks.

Shared by the SmolLM2, Qwen3 and DeepSeek-R1 dialects, whose templates differ and whose turns do not.
"""

from ascl.chat.dialects.dialect import control_pattern
from ascl.chat.dialects.tagged import split_tagged, tagged_end
from ascl.chat.messages import StopReason
from ascl.chat.turn import ParsedCall, Turn, parse_call

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_THINK, _THOUGHT = "<think>", "</think>"
MARKS = (_THINK, _THOUGHT, _OPEN, _CLOSE, "<tool_response>", "</tool_response>")
_CONTROL = control_pattern(MARKS)


def thought_end(text: str) -> int | None:
    """Where the thought that a turn begins with ends (see `Dialect`)."""
    return tagged_end(text, _THINK, _THOUGHT)


def split_thought(text: str) -> tuple[str | None, str, bool]:
    """Cut a turn into (thought or None, the rest, whether the thought was closed)."""
    return split_tagged(text, _THINK, _THOUGHT)


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
    if _OPEN in content and not ended:
        return Turn(rest, thought, ended=ended, stop=StopReason.TRUNCATED, detail="tool call not closed")
    if marker := _CONTROL.search(f"{thought or ''} {content}"):
        return Turn(rest, thought, ended=ended, stop=StopReason.MALFORMED, detail=f"{marker.group()} out of place")
    return Turn(content, thought, calls, ended=ended)
