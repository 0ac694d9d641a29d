"""Mistral: the format of tokenizer version 13 (mistral-common), which Magistral, Ministral 3 and Devstral 2 speak.

`[THINK]..[/THINK]`, then an answer or calls, each `[TOOL_CALLS]NAME[ARGS]{json}`. Read as well, since older models were
trained on it: `[CALL_ID]` after the name (version 11) and one JSON list of calls after `[TOOL_CALLS]` (2 to 7).
"""

from ascl.chat.dialects.dialect import Dialect, control_pattern
from ascl.chat.dialects.tagged import split_tagged, tagged_end
from ascl.chat.messages import StopReason
from ascl.chat.turn import NOT_JSON, ParsedCall, Turn, parse_arguments, read_call, read_json

_OPENS, _CLOSES = "[THINK]", "[/THINK]"
_CALL, _ARGS = "[TOOL_CALLS]", "[ARGS]"
_END = "</s>"
_MARKS = (
    _OPENS, _CLOSES, _CALL, _ARGS, "[CALL_ID]", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]",
    "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CONTENT]", "<s>", _END,
)  # fmt: skip
_CONTROL = control_pattern(_MARKS)


def thought_end(text: str) -> int | None:
    """Where the thought that a turn begins with ends (see `Dialect`)."""
    return tagged_end(text, _OPENS, _CLOSES)


def parse(text: str, ended: bool) -> Turn:
    """Read one generation: a thought, then an answer, calls, or a word and calls."""
    thought, rest, closed = split_tagged(text, _OPENS, _CLOSES)
    if not closed:
        return Turn("", thought, ended=ended, stop=StopReason.TRUNCATED, detail="thought not closed")
    content, *written = rest.split(_CALL)
    calls: list[ParsedCall] = []
    for call in (read for piece in written for read in _calls(piece)):
        if isinstance(call, str):
            stop = StopReason.MALFORMED if ended else StopReason.TRUNCATED
            return Turn(rest, thought, ended=ended, stop=stop, detail=call)
        calls.append(call)
    if marker := _CONTROL.search(f"{thought or ''} {content}"):
        return Turn(rest, thought, ended=ended, stop=StopReason.MALFORMED, detail=f"{marker.group()} out of place")
    return Turn(content.strip(), thought, calls, ended=ended)


def _calls(piece: str) -> list[ParsedCall | str]:
    """What stands after one `[TOOL_CALLS]`: a name with its arguments, or JSON; a call that can't be read as words."""
    name, found, arguments = piece.partition(_ARGS)
    if found:
        return [parse_arguments(name.partition("[CALL_ID]")[0].strip(), arguments)]
    try:
        value = read_json(piece)
    except (ValueError, RecursionError):
        return [NOT_JSON]
    return list(map(read_call, value if isinstance(value, list) and value else [value]))


MISTRAL = Dialect(
    name="mistral",
    ends=(_END,),
    opens=_OPENS,
    closes=_CLOSES,
    thought_end=thought_end,
    parse=parse,
    shown_by=("[INST]", "[SYSTEM_PROMPT]", _ARGS),
    marks=_MARKS,
)
