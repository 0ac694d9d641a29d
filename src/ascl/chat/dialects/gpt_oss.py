"""gpt-oss: the harmony format (openai/harmony, docs/format.md), whose messages go to channels.

A model turn is one message or several, each but the first after `<|start|>assistant`, each but the last ended by
`<|end|>`: `<|channel|>analysis<|message|>` is the thought, `final` the answer, `commentary` a word before calls, and
`commentary to=functions.NAME <|constrain|>json` a call. `<|return|>` ends a turn that answers, `<|call|>` one that
calls.

Where harmony leaves it open: several calls of one turn have `<|end|>` between them, since sampling stops at `<|call|>`.
The system message has no date, so that a conversation has the same ids on every day. A thought is written wherever a
message has one. An answer that is not the last message ends in `<|end|>`, as harmony asks, and that token has no loss.
"""

import re

from ascl.chat.dialects.dialect import Dialect, control_pattern
from ascl.chat.messages import StopReason
from ascl.chat.turn import ParsedCall, Turn, parse_arguments

CHANNEL, MESSAGE, END, NEXT = "<|channel|>", "<|message|>", "<|end|>", "<|start|>assistant"
ANALYSIS, FINAL = f"{CHANNEL}analysis{MESSAGE}", f"{CHANNEL}final{MESSAGE}"
START = "<|start|>"
_ENDS = ("<|return|>", "<|call|>")
_MARKS = (*_ENDS, CHANNEL, MESSAGE, END, START, "<|constrain|>")
_CONTROL = control_pattern(_MARKS)
_BLANK = re.compile(r"\s*")
_OUTSIDE = "text outside of a channel"


def thought_end(text: str) -> int | None:
    """Where the thoughts that a turn begins with end (see `Dialect`): there may be several."""
    found, at = 0, _behind_blanks(text, 0)
    while ANALYSIS.startswith(text[at : at + len(ANALYSIS)]):
        end = text.find(END, at)
        if end < 0:
            return None
        found = _behind_blanks(text, end + len(END))
        if not NEXT.startswith(text[found : found + len(NEXT)]):
            break
        found += len(NEXT)
        at = _behind_blanks(text, found)
    return found


def _behind_blanks(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def parse(text: str, ended: bool) -> Turn:
    """Read one generation, message by message. What can't be read makes the turn truncated or malformed."""
    unread = StopReason.MALFORMED if ended else StopReason.TRUNCATED
    thoughts: list[str] = []
    said: list[str] = []
    calls: list[ParsedCall] = []

    def stopped(stop: StopReason, detail: str) -> Turn:
        thought = "\n\n".join(thoughts) if thoughts else None
        return Turn(text[thought_end(text) or 0 :].strip(), thought, ended=ended, stop=stop, detail=detail)

    messages = text.strip().split(NEXT)
    for number, message in enumerate(messages, start=1):
        head, opened, body = message.partition(MESSAGE)
        body, closed, behind = body.partition(END)
        last = number == len(messages)
        if not message.strip():
            continue
        header = _header(head)
        if not opened:
            return stopped(unread if last else StopReason.MALFORMED, _OUTSIDE)
        if header is None or not (closed or last):
            return stopped(StopReason.MALFORMED, _OUTSIDE)
        if behind.strip():
            return stopped(unread if last and NEXT.startswith(behind.strip()) else StopReason.MALFORMED, _OUTSIDE)
        channel, name = header
        if name is not None:
            call = parse_arguments(name, body)
            if isinstance(call, str):
                return stopped(StopReason.MALFORMED if closed else unread, call)
            calls.append(call)
        elif channel == "analysis":
            thoughts.append(body.strip())
            if not closed:
                thought = "\n\n".join(thoughts)
                return Turn("", thought, ended=ended, stop=StopReason.TRUNCATED, detail="thought not closed")
        else:
            said.append(body.strip())
    if marker := _CONTROL.search(" ".join(thoughts + said)):
        return stopped(StopReason.MALFORMED, f"{marker.group()} out of place")
    return Turn("\n\n".join(said), "\n\n".join(thoughts) if thoughts else None, calls, ended=ended)


def _header(head: str) -> tuple[str, str | None] | None:
    """The channel and the tool's name, if a tool is addressed, in a message's header; None where it is no header.

    The recipient stands after the channel, or before it. Without `<|constrain|>` it ends at a blank (` json`).
    """
    before, found, after = head.partition(CHANNEL)
    after, constrained, _ = after.partition("<|constrain|>")
    channel, _, addressed = after.strip().partition(" ")
    if not found or channel not in ("analysis", "commentary", "final"):
        return None
    if addressed.startswith("to="):
        recipient = addressed if constrained else addressed.split()[0]
    elif addressed not in ("", "json"):
        return None
    else:
        recipient = before.strip()
    if not recipient:
        return channel, None
    if not recipient.startswith("to="):
        return None
    return channel, recipient.removeprefix("to=").removeprefix("functions.").strip()


GPT_OSS = Dialect(
    name="gpt_oss",
    ends=_ENDS,
    opens=ANALYSIS,
    closes=f"{END}{NEXT}",
    thought_end=thought_end,
    parse=parse,
    shown_by=(CHANNEL, MESSAGE, *_ENDS),
    marks=_MARKS,
)
