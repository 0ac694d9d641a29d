"""A tool call written without the markup that a dialect's parser looks for: plain JSON, Python, or ReAct's lines."""

import json
import re
from typing import Any

from ascl.chat.turn import MAX_DEPTH

_NAMES = ("name", "function", "tool", "tool_name", "action", "recipient_name")
_ARGUMENTS = ("arguments", "parameters", "args", "input", "action_input", "kwargs")
_FENCE = re.compile(r"(```++|~~~++)[^\n`]*\n|(`)(?!`)")
_CLOSING = re.compile(r"(?:\s|```|~~~|</\w+>)*")  # what may stand after a call
_LOOKED_AT = 20  # mentions of the tool, and brackets before each of them
_BEFORE = 80  # characters of a call before its tool's name
_LONGEST = 20_000  # characters of a call


def is_bare_call(text: str, name: str) -> bool:
    """Whether a text is a call of the tool `name`, begins with one or ends in one, though no markup says so.

    A call that a text shows amid other words is an example, and one of another tool may be the answer that was asked
    for: neither counts. One that begins the text and breaks off does.
    """
    if name not in text:
        return False
    text = unfenced(text).strip()
    tool = rf"(?:functions\.)?{re.escape(name)}"
    if re.fullmatch(rf"\[?\s*{tool}\s*(?:\(.*\)|\{{.*\}})\s*\]?", text, re.DOTALL):
        return True
    if re.search(rf"^Action:[ \t]*{tool}[ \t]*$", text, re.MULTILINE):
        return True
    mentions = [match.start() for match in re.finditer(re.escape(name), text)]
    return any(_is_json_call(text, at, name) for at in mentions[:_LOOKED_AT] + mentions[-1:])


def unfenced(text: str) -> str:
    """What stands in the code block that a text is as a whole, closed or not; any other text as it is."""
    stripped = text.strip()
    opened = _FENCE.match(stripped)
    if not opened:
        return text
    fence = opened[1] or opened[2]
    inside = stripped[opened.end() :].removesuffix(fence)
    return text if fence[:3] in inside else inside.strip()


def _is_json_call(text: str, mention: int, name: str) -> bool:
    first = max(mention - _BEFORE, 0)
    words = len(text) - len(text.lstrip("`~ \n\tjson"))  # where what is no fence begins
    brackets = [i for i in range(first, mention) if text[i] in "{["]
    for start in brackets[-_LOOKED_AT:]:
        begins = start <= words
        try:
            value, end = json.JSONDecoder(strict=False).raw_decode(text[start : start + _LONGEST])
        except (ValueError, RecursionError):
            if begins and re.match(r'[\[{\s]*"(?:name|function|tool)"\s*:\s*"', text[start:mention]):
                return True
            continue
        if (begins or _CLOSING.fullmatch(text, start + end)) and _calls(value, name, MAX_DEPTH):
            return True
    return False


def _calls(value: Any, name: str, depth: int) -> bool:
    if depth == 0:
        return False
    if isinstance(value, list):
        return any(_calls(item, name, depth - 1) for item in value)
    if not isinstance(value, dict) or "description" in value:  # a tool that is described is not called
        return False
    named = any(value.get(key) in (name, f"functions.{name}") for key in _NAMES)
    if named and any(key in value for key in _ARGUMENTS):
        return True
    inner = [value.get(key) for key in ("function", "tool_call", "tool_calls", "function_call")]
    return isinstance(value.get(name), dict) or _calls(inner, name, depth - 1)
