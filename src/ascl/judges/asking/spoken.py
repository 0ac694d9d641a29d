"""What a judging model says, whatever form it gives it: the form may be off, but the word must be the model's own.

Off are case, blanks, emphasis, a code fence, leaked control tokens, a thought before the words, the order of the lines,
and JSON in place of lines. Whatever else stands beside the lines makes a reply unreadable: it may be an echo of the
text that was judged, and no text may forge a verdict.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from ascl.chat import inline_thought
from ascl.chat.dialects.gpt_oss import CHANNEL, FINAL, START

# A model that thinks aloud begins with one of the first, and speaks after one of the others.
_BEGINS_TO_THINK = (inline_thought.OPENS, CHANNEL, START)
END_OF_THOUGHT = re.compile(f"{re.escape(FINAL)}|{re.escape(inline_thought.CLOSES)}")
_CONTROL = re.compile(r"<[|｜][^\s<>|｜]{1,40}[|｜]>|</?s>|<(?:end_of_turn|start_of_turn|eos|pad)>|\[/?INST\]")
_FENCE = re.compile(r"^[ \t]*```[ \t]*+\w*+[ \t]*+$", re.MULTILINE)
_ROLE = re.compile(r"\A\s*assistant\s*\n", re.IGNORECASE)  # the header of the turn, where its control tokens are gone
_EDGE = " \t\r\n\ufeff*_`\"'>#.,;!|()[]-•"  # what may stand around a word or a line and changes nothing in it
_LONGEST = 20_000  # characters of a reply
_LOOKED_AT = 1000  # .. and of what comes before the end of a thought
_NEVER = re.compile(r"(?!)")
_BARE = r"(?:(?:un)?safe|controversial)\b"  # a value that may stand without its label


def after_thought(reply: str, verdict: str = _NEVER.pattern) -> str:
    """The reply without the thought before it; empty where a text that it quotes may pass for the end of its thought.

    verdict: a pattern of how the words that are looked for begin. A reply that begins so, not with the mark of a
    thought, has no thought before them; and one thought has one end.
    """
    ends = list(END_OF_THOUGHT.finditer(reply))
    if not ends:
        return reply
    before = unicodedata.normalize("NFKC", reply[: ends[0].start()].lstrip()[:_LOOKED_AT])
    spoke = not before.startswith(_BEGINS_TO_THINK) and re.match(rf"[\W_]*(?:{verdict})", before, re.IGNORECASE)
    return "" if len(ends) > 1 or spoke else reply[ends[0].end() :]


def spoken(reply: str, verdict: str = _NEVER.pattern) -> str:
    """The words of a reply without what a chat template, Markdown or a keyboard puts around them.

    verdict: see `after_thought`.
    """
    text = _FENCE.sub("", _CONTROL.sub("\n", after_thought(reply, verdict)))
    return unicodedata.normalize("NFKC", _ROLE.sub("", text)).strip(_EDGE)


def yes_or_no(value: str | None) -> bool | None:
    """Whether a value says yes; None where it says neither yes nor no."""
    return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}.get((value or "").lower())


def labelled(
    reply: str, labels: Mapping[str, str], items: str = "", item: re.Pattern[str] = _NEVER, bare: bool = False
) -> dict[str, str] | None:
    """What stands after each label of a reply that is lines `label: value` in any order, or one object in JSON.

    labels: from the name of a value to the pattern of its label. items: the value that may go on over more lines, each
    of which matches `item`. bare: the first value may stand at the beginning without its label. A label may be missing,
    or be there twice with the same value. None where it has two values, where anything else stands beside the lines,
    and where it is longer than 20,000 characters.
    """
    verdict = "|".join(rf"{label}[^\w\n]{{0,40}}[:=]" for label in labels.values()) + (rf"|{_BARE}" if bare else "")
    text = spoken(reply, verdict)
    if len(text) > _LONGEST:
        return None
    if text.startswith("{"):
        return _from_json(text, labels)
    names = "|".join(f"(?P<{name}>{label})" for name, label in labels.items())
    before = r"(?:(?:^|\n)[\s\-•>#*_\"']{0,40}(?:\d[.)]\s{0,40})?|[\s;,|])[*_\"']{0,40}"
    heads = list(re.finditer(rf"{before}(?:{names})[\s*_\"']{{0,40}}[:=]", text, re.IGNORECASE))
    ends = [*(head.start() for head in heads), len(text)][1:]
    pieces = [(str(head.lastgroup), text[head.end() : end]) for head, end in zip(heads, ends, strict=False)]
    if unlabelled := text[: heads[0].start() if heads else len(text)].strip(_EDGE):
        if not bare:
            return None
        pieces.insert(0, (next(iter(labels)), unlabelled))
    found: dict[str, str] = {}
    more: list[str] = []
    for name, piece in pieces:
        lines = [line.strip(_EDGE) for line in piece.splitlines()]
        value = lines.pop(0) if lines and (lines[0] or name == items) else next(filter(None, lines), "")
        rest = [line for line in lines if line and line != value]
        if not all(map(item.fullmatch, rest)) or found.setdefault(name, value).lower() != value.lower():
            return None
        more += rest
    if more:
        found[items] = ", ".join(filter(None, [found.get(items), *more]))
    return found


def _from_json(text: str, labels: Mapping[str, str]) -> dict[str, str] | None:
    """As `labelled`, of one JSON object; keys that are no label are not looked at."""
    twice = False

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        twice |= len({key.lower() for key, _ in pairs}) < len(pairs)
        return dict(pairs)

    try:
        read = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError):
        return None
    if twice:
        return None
    found: dict[str, str] = {}
    for key, value in read.items():
        for name, label in labels.items():
            if re.fullmatch(label, key.strip(), re.IGNORECASE):
                if name in found:
                    return None
                found[name] = _as_text(value)
    return found


def _as_text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_as_text, value)) or "none"
    return str(value).strip(_EDGE)
