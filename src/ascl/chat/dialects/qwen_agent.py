"""Qwen-Agent's text format, the one the paper trains with: ✿FUNCTION✿, ✿ARGS✿, ✿RESULT✿, ✿RETURN✿ lines.

Qwen-Agent rewrites a calling turn after the fact (drops its end-of-turn token, appends the result), so behaviour
cloning splits a consulting trajectory into two samples; `rewrite=true` in the template gives that form. Without it the
end-of-turn token stays, as the paper's RL keeps it (arXiv 2602.13562, appendix on training format).
"""

import re

from ascl.chat.dialects import hermes
from ascl.chat.dialects.dialect import Dialect, control_pattern
from ascl.chat.messages import StopReason
from ascl.chat.turn import ParsedCall, Turn, parse_arguments

# Read by lines: of a line that is followed by arguments, the text before the first mark is no part of the call.
_CALL = re.compile(r"^(?>([^\n]*?)✿FUNCTION✿:)([^\n]*+)\n✿ARGS✿:(.*?)(?=\n✿FUNCTION✿:|\Z)", re.DOTALL | re.MULTILINE)
_OPENS, _CLOSES = "<think>\n", "\n</think>\n\n"
_MARKS = ("✿FUNCTION✿", "✿ARGS✿", "✿RESULT✿", "✿RETURN✿", _OPENS.strip(), _CLOSES.strip())
_CONTROL = control_pattern(_MARKS)


def parse(text: str, ended: bool) -> Turn:
    """Read one generation: a thought, then an answer or calls."""
    thought, rest, closed = hermes.split_thought(text)
    if not closed:
        return Turn("", thought, ended=ended, stop=StopReason.TRUNCATED, detail="thought not closed")
    calls: list[ParsedCall] = []
    for match in _CALL.finditer(rest):
        call = parse_arguments(match.group(2).strip(), match.group(3))
        if isinstance(call, str):
            stop = StopReason.MALFORMED if ended else StopReason.TRUNCATED
            return Turn(rest, thought, ended=ended, stop=stop, detail=call)
        calls.append(call)
    content = _CALL.sub(r"\1", rest).strip()
    if "✿FUNCTION✿" in content and not ended:
        return Turn(rest, thought, ended=ended, stop=StopReason.TRUNCATED, detail="tool call not closed")
    if marker := _CONTROL.search(f"{thought or ''} {content}"):
        return Turn(rest, thought, ended=ended, stop=StopReason.MALFORMED, detail=f"{marker.group()} out of place")
    return Turn(content, thought, calls, ended=ended)


QWEN_AGENT = Dialect(
    name="qwen_agent",
    ends=("<|im_end|>",),
    opens=_OPENS,
    closes=_CLOSES,
    thought_end=hermes.thought_end,
    parse=parse,
    marks=_MARKS,
)
