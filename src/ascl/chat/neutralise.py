"""Break every control marker inside untrusted text, so that it can't forge a role, a thought, a call or a result.

Prompts, rule texts, tool arguments and what a model wrote earlier are untrusted: before they enter a chat template
(in process) or leave for a server (which applies its own template), a zero-width space is put after the first character
of every marker. The text still reads the same; the tokenizer no longer sees the marker.

In process the tokenizer is known: its added tokens are the markers, and those that our dialects write as text. A
server's is not: there everything is broken that is, or looks like, a control token of any family.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from os.path import commonprefix
from typing import Any

from ascl.chat.families import MARKERS, SHAPES, TOKENS
from ascl.chat.messages import Message

BREAK = "\u200b"


class _Compatible(dict[int, str]):
    """The compatibility form (NFKC) of each character where it is one character, for `str.translate`.

    A tokenizer may read a text in this form, full-width letters as plain ones. `｜` stays: some families write it.
    """

    def __missing__(self, code: int) -> str:
        plain = unicodedata.normalize("NFKC", chr(code))
        self[code] = plain if len(plain) == 1 and plain != "|" else chr(code)
        return self[code]


_COMPATIBLE = _Compatible()

# In process: `<|..|>` of any name, whether the tokenizer has it or not.
_BARRED = (("<", r"[|｜][^\s<>|｜]{1,40}[|｜]>"),)


@lru_cache(maxsize=64)
def _pattern(markers: tuple[str, ...]) -> re.Pattern[str]:
    """The first characters of markers: each consumed, what follows looked at, so that overlapping ones are all found.

    Markers are at least two characters, so a break after the first one always falls inside.
    """
    follows: dict[str, list[str]] = {}
    for opener, rest in _BARRED if markers else SHAPES:
        follows.setdefault(opener, []).append(rest)
    for opener, texts in _texts(markers).items():
        rests = [text[1:] for text in texts]
        follows.setdefault(opener, []).append(_prefix_tree(rests))
    whole = f"(?!{BREAK})"  # one that is broken is not broken again
    return re.compile("|".join(f"{re.escape(opener)}{whole}(?={'|'.join(rest)})" for opener, rest in follows.items()))


def _texts(markers: tuple[str, ...]) -> dict[str, list[str]]:
    """The markers that are texts, by their first character."""
    texts: dict[str, list[str]] = {}
    for text in MARKERS + (markers or TOKENS):
        if len(text) > 1:
            texts.setdefault(text[0], []).append(text)
    return texts


@lru_cache(maxsize=64)
def _signs(markers: tuple[str, ...]) -> tuple[str, ...]:
    """Short texts of which a text that holds a marker holds one: most prose holds none, and is seen through at once."""
    shapes = {opener for opener, _ in (_BARRED if markers else SHAPES)}
    texts = {commonprefix(texts) for opener, texts in _texts(markers).items() if opener not in shapes}  # noqa: RUF071
    return tuple(sorted(shapes | texts))


def _prefix_tree(texts: Iterable[str], depth: int = 64) -> str:
    """A pattern that matches where one of the texts begins, each common beginning written (and tried) once.

    So thousands of markers cost a text hardly more than a few. depth: characters before the rest is a plain list.
    """
    branches: dict[str, list[str]] = {}
    for text in texts:
        branches.setdefault(text[:1], []).append(text[1:])
    if "" in branches:  # one of them ends here, whatever the others go on with
        return ""
    if depth == 0:
        return f"(?:{_any_of(tuple(texts))})"
    written = [re.escape(first) + _prefix_tree(rests, depth - 1) for first, rests in branches.items()]
    return written[0] if len(written) == 1 else f"(?:{'|'.join(written)})"


def _any_of(texts: tuple[str, ...]) -> str:
    return "|".join(re.escape(text) for text in sorted(set(texts), key=len, reverse=True))


def neutralise(text: str, markers: Iterable[str] = ()) -> str:
    """`text` with every marker broken. Idempotent; text without markers is returned unchanged.

    markers: the added tokens of the tokenizer that will read the text. Without any, the tokenizer is not known, and may
    read full-width letters as plain ones.
    """
    known = tuple(markers)
    view = text if known or text.isascii() else text.translate(_COMPATIBLE)
    if not any(sign in view for sign in _signs(known)):
        return text
    ends = [0, *(match.end() for match in _pattern(known).finditer(view)), len(text)]
    return BREAK.join([text[first:end] for first, end in pairwise(ends)])


def neutralise_value(value: Any, markers: Iterable[str] = ()) -> Any:
    """`neutralise` applied to every string of a JSON value, keys included.

    Two keys of an object that become one are kept apart by further breaks.
    """
    if isinstance(value, str):
        return neutralise(value, markers)
    if isinstance(value, list):
        return [neutralise_value(item, markers) for item in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for key, item in value.items():
        name = neutralise(str(key), markers)
        while name in kept or (name != key and name in value):
            name = name[:1] + BREAK + name[1:]
        kept[name] = neutralise_value(item, markers)
    return kept


def neutralise_message(message: Message, markers: Iterable[str] = ()) -> Message:
    """A copy of `message` whose every text (content, thought, tool names and arguments) is neutralised.

    Ids of calls keep their letters and digits only: some templates write them.
    """
    return Message.model_validate(
        message.model_dump(exclude={"content", "reasoning_content", "tool_calls", "tool_call_id"})
        | {
            "content": neutralise(message.content, markers),
            "reasoning_content": None
            if message.reasoning_content is None
            else neutralise(message.reasoning_content, markers),
            "tool_call_id": None if message.tool_call_id is None else _plain_id(message.tool_call_id),
            "tool_calls": [
                {"id": _plain_id(call.id)} | neutralise_value({"name": call.name, "arguments": call.arguments}, markers)
                for call in message.tool_calls
            ],
        }
    )


def neutralise_messages(messages: Iterable[Message], markers: Iterable[str] = ()) -> list[Message]:
    """A conversation, each message neutralised, with ids of calls of our own: call_0, call_1, ..

    A result gets the new id of the call it answers, one of the last turn that called; a result of no call a new one.
    """
    known, count = tuple(markers), 0
    waiting: dict[str, list[str]] = {}
    made = []
    for message in messages:
        clean = neutralise_message(message, known)
        if message.tool_calls:
            waiting = {}
        for old, new in zip(message.tool_calls, clean.tool_calls, strict=True):
            new.id = f"call_{count}"
            waiting.setdefault(old.id, []).append(new.id)
            count += 1
        if message.tool_call_id is not None:
            answered = waiting.get(message.tool_call_id)
            if not answered:
                answered, count = [f"call_{count}"], count + 1
            clean.tool_call_id = answered.pop(0)
        made.append(clean)
    return made


def _plain_id(id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "", id)
