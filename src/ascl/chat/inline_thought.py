"""A thought inside a text, between `<think>` and `</think>`: the convention of servers and of public data sets.

How a model family itself writes thoughts is its dialect's business (`dialects/`). This is about texts from outside.
"""

import re

from ascl.chat.dialects.tagged import split_tagged
from ascl.chat.messages import Opening

_OPENS, _CLOSES = "<think>", "</think>"
TAG = re.compile(f"{_OPENS}|{_CLOSES}")


def split(text: str) -> tuple[str | None, str, bool]:
    """Cut a text into (thought or None, the rest, whether the thought was closed)."""
    return split_tagged(text, _OPENS, _CLOSES)


def join(thought: str, answer: str) -> str:
    """A thought and an answer as one text."""
    return f"{_OPENS}{thought}{_CLOSES}{answer}"


def begins(text: str) -> bool:
    """Whether a text begins with a thought."""
    return text.lstrip().startswith(_OPENS)


def begun(text: str) -> str:
    """The text with the opening tag that it may lack: a chat template has written it before."""
    return text if begins(text) else f"{_OPENS}{text}"


def closes_only(text: str) -> bool:
    """Whether a text closes a thought that it does not open."""
    return _CLOSES in text and _OPENS not in text


def after(text: str) -> str:
    """What stands after the last closed thought."""
    return text.rpartition(_CLOSES)[2]


def opening_text(opening: Opening) -> str:
    """The text of a turn that begins with this thought, as a server goes on from it."""
    return f"{_OPENS}\n{opening.thought}" + (f"\n{_CLOSES}\n\n" if opening.closed else "")
