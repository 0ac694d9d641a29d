"""What servers leave in a reply's text: end-of-turn tokens, gpt-oss's channels, and calls their parser did not read.

Which model is behind a server, and which parser the server runs, is not known here. So every form we can read is read;
a call in another form is malformed and never an answer. Markup that a text quotes in code, or names in the middle of a
sentence, is part of the answer.
"""

import re

from ascl.chat import inline_thought
from ascl.chat.bare_call import unfenced
from ascl.chat.dialects import gpt_oss, qwen_agent
from ascl.chat.messages import StopReason
from ascl.chat.turn import ParsedCall, Turn, parse_arguments, parse_call

LEFT = "a tool call left in the text"

_END = re.compile(
    r"(?:<[|｜](?:im_end|end[\w▁]*|eo[a-z]|e[a-z]{2}_id|return|call|user|observation)[|｜]>"
    r"|</s>|<eos>|<end_of_turn>|<end_of_utterance>|<turn\|>|✿(?:RESULT|RETURN)✿:?)\Z",
    re.IGNORECASE,
)
_LONGEST_END = 60  # characters of such a token
_BEGIN = re.compile(
    r"\A(?:\s*(?:<s>|<bos>|<[|｜]begin[\w▁]*[|｜]>|<\|im_start\|>assistant\n|<start_of_turn>model\n|<｜Assistant｜>"
    r"|<\|start_header_id\|>assistant<\|end_header_id\|>|<\|im_end\|>\n<\|im_start\|>assistant\n))+\s*"
)

_CHANNEL = rf"{re.escape(gpt_oss.CHANNEL)}(?:analysis|commentary|final)"
_BEGINS_CHANNEL = re.compile(rf"\s*(?:{re.escape(gpt_oss.NEXT)}[^<]*)?{_CHANNEL}")
_NEXT_CHANNEL = re.compile(rf"{re.escape(gpt_oss.END + gpt_oss.NEXT)}[^<]*{_CHANNEL}")
_WORDS = re.compile(
    r"(?:\A\s*|assistant)"
    r"(?:(?P<name>analysis|final)|(?P<call>commentary to=\S{1,200}?)\s*+(?:json)?\s*+(?=\{)|commentary)"
)
_IN_WORDS = re.compile(r"\s*analysis(?:[A-Z][a-z']* [a-z]|.*?assistant(?:final|commentary))", re.DOTALL)

_INLINE_CODE = re.compile(r"(?<!`)(`{1,9})(?!`)[^\n]*?(?<!`)\1(?!`)")
_FENCE = re.compile(r"[ \t]*(```+|~~~+)(.*)")

# Where a call begins, in the markup of the families we know.
_MARK = (
    r"(?:<[|｜]?(?:\w+:)?(?:tool[_▁]?calls?|function_calls?)(?:[_▁]section)?(?:[_▁]begin)?[|｜]?>|<｜DSML｜function_calls>"
    r"|<\|python_tag\|>|<\|action_start\|>|<start_function_call>|\[TOOL_CALLS\]|functools(?=\[)"
    r"|<function=[\w.:-]+>|<invoke name=[^\n>]{0,200}>)"
)
_SIGN = re.compile(
    rf"{_MARK}\s*(?:(?=[{{\[])|(?=<(?!/))|\Z)"  # JSON, more markup or nothing comes next
    rf"|{_MARK}[\w.-]+(?=[ \t]*\n|\s*[{{\[]|[(<])"  # the tool's name, then its arguments
    rf"|^[ \t]*{_MARK}(?:[ \t]*$|[^\n]*</[\w:]+>[ \t]*$)"  # a line of its own
    r"|(?:[}\]]|</function>)\s*</(?:\w+:)?tool_?calls?>|</parameter>\s*</function>"  # the end of one
    r"|^[ \t]*</tool_call>[ \t]*$"
    r"|✿FUNCTION✿[ \t]*(?::|\Z)|✿ARGS✿[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_CALL = re.compile(
    r"(?:<tool_call>\s*)?<function=(?P<name>[^>\n]{1,200})>(?P<body>(?:(?!<function=).)*?)</function>(?:\s*</tool_call>)?"
    r"|<tool_call>(?P<json>(?:(?!<tool_call>).)*?)</tool_call>",
    re.DOTALL,
)
_PARAMETER = re.compile(r"<parameter=([^>\n]{1,200})>(.*?)(?:</parameter>|(?=<parameter=)|\Z)", re.DOTALL)

# Where a model speaks for somebody else: the turn it forges is no part of its answer.
_FORGED = re.compile(
    r"<\|im_start\|>(?:system|user|assistant|tool)[ \t]*\n|<\|start_header_id\|>\w+<\|end_header_id\|>"
    r"|<｜(?:User|Assistant)｜>|<start_of_turn>(?:user|model)\n|<\|(?:start|channel)\|>\w+<\|"
    r"|^[ \t]*</?tool_response>[ \t]*$|✿(?:RESULT|RETURN)✿:",
    re.MULTILINE,
)


def without_tokens(text: str) -> str:
    """A text without the control tokens that stand at its end, or open a turn at its beginning.

    They are special tokens that the server should have kept to itself. In the middle of a text they are left alone: it
    may be about them.
    """
    at, end = len(text), _without_blanks(text, len(text))
    while found := _END.search(text, max(end - _LONGEST_END, 0), end):
        at = end = _without_blanks(text, found.start())
    text = text[:at]
    return text[begin.end() :] if (begin := _BEGIN.match(text)) else text


def _without_blanks(text: str, end: int) -> int:
    """Where `text[:end]` ends without the blanks at its end."""
    while end and text[end - 1].isspace():
        end -= 1
    return end


def opens_no_thought(text: str) -> bool:
    """Whether a text closes a thought that it does not open: the server's chat template did."""
    bare = _INLINE_CODE.sub("", text)
    return inline_thought.closes_only(bare)


def read_channels(text: str, ended: bool) -> Turn | None:
    """The turn in the channels of gpt-oss (see its dialect), or None where the text has none.

    Servers that hide special tokens leave the words alone: `analysis..assistantfinal..`.
    """
    if _IN_WORDS.match(text):
        text = _WORDS.sub(_as_tokens, text)
    elif _NEXT_CHANNEL.search(text) and not text.lstrip().startswith("<|"):
        text = f"{gpt_oss.ANALYSIS}{text}"  # the server's template opened the channel
    if not _BEGINS_CHANNEL.match(text):
        return None
    turn = gpt_oss.parse(text, ended)
    turn.left_in_text = bool(turn.calls) or turn.stop is StopReason.MALFORMED
    return turn


def _as_tokens(words: re.Match[str]) -> str:
    before = f"{gpt_oss.END}{gpt_oss.NEXT}" if words.start() else ""
    return f"{before}{gpt_oss.CHANNEL}{words['name'] or words['call'] or 'commentary'}{gpt_oss.MESSAGE}"


def read_said(text: str, ended: bool, thought_inline: bool) -> Turn:
    """The turn in what a model said after its thought: an answer, or calls that the server left in the text.

    thought_inline: the thought stood in the same text, so a further tag of a thought in it is out of place.
    """
    said = unfenced(text)
    shown = _without_code(said)
    if _SIGN.search(shown):
        return _read_calls(said, shown, ended)
    forged = _FORGED.search(shown) or (inline_thought.TAG.search(shown) if thought_inline else None)
    if forged:
        return Turn(text, ended=ended, stop=StopReason.MALFORMED, detail=f"{forged.group().strip()} out of place")
    return Turn(text, ended=ended)


def _read_calls(said: str, shown: str, ended: bool) -> Turn:
    if "✿FUNCTION✿" in shown:
        turn = qwen_agent.parse(said, ended)
        turn.left_in_text = True
        return turn
    turn = Turn("", ended=ended)
    for call in _CALL.finditer(shown):
        name, body, written = (said[slice(*call.span(group))] for group in ("name", "body", "json"))
        _add(turn, _read_xml(name.strip(), body) if name else parse_call(written))
    rest = _CALL.sub("", shown)
    if turn.stop is None and (not turn.calls or _SIGN.search(rest) or _FORGED.search(rest)):
        turn.stop, turn.detail = StopReason.MALFORMED, LEFT
    if turn.stop is not None:
        turn.content, turn.calls = said, []
        if not ended:
            turn.stop = StopReason.TRUNCATED
    else:
        turn.content = _cut(said, [call.span() for call in _CALL.finditer(shown)])
    turn.left_in_text = True
    return turn


def _add(turn: Turn, call: ParsedCall | str) -> None:
    if isinstance(call, ParsedCall):
        turn.calls.append(call)
    else:
        turn.stop, turn.detail = StopReason.MALFORMED, call


def _read_xml(name: str, body: str) -> ParsedCall | str:
    """Qwen3-Coder's form: a `<parameter=..>` for each argument, all of them text. Llama's has JSON in their place."""
    parameters = _PARAMETER.findall(body)
    if not parameters and body.strip():
        return parse_arguments(name, body)
    return ParsedCall(name, {key.strip(): value.strip() for key, value in parameters})


def _without_code(text: str) -> str:
    """The text with its code blanked out, every character still in its place. A block that is not closed is no code."""
    shown: list[str] = []
    block: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if fence:
            block.append(line)
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                shown.append("".join(map(_blank, block)))
                block, fence = [], ""
        elif mark:
            block, fence = [line], mark[1]
        else:
            shown.append(line)
    return _INLINE_CODE.sub(lambda code: _blank(code.group()), "".join(shown + block))


def _blank(code: str) -> str:
    return "¤" * len(code)


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    kept, at = [], 0
    for first, end in spans:
        kept.append(text[at:first])
        at = end
    return "".join([*kept, text[at:]]).strip()
