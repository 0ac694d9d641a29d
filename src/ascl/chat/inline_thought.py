"""A thought inside a text, between `<think>` and `</think>`: the convention of servers and of public data sets.

How a model family itself writes thoughts is its dialect's business (`dialects/`). This is about texts from outside.
"""

import re

from ascl.chat.dialects.tagged import split_tagged
from ascl.chat.messages import Opening

OPENS, CLOSES = "<think>", "</think>"
TAG = re.compile(f"{OPENS}|{CLOSES}")


def split(text: str) -> tuple[str | None, str, bool]:
    """Cut a text into (thought or None, the rest, whether the thought was closed)."""
    return split_tagged(text, OPENS, CLOSES)


def join(thought: str, answer: str) -> str:
    """A thought and an answer as one text."""
    return f"{OPENS}{thought}{CLOSES}{answer}"


def begins(text: str) -> bool:
    """Whether a text begins with a thought."""
    return text.lstrip().startswith(OPENS)


def begun(text: str) -> str:
    """The text with the opening tag that it may lack: a chat template has written it before."""
    return text if begins(text) else f"{OPENS}{text}"


def closes_only(text: str) -> bool:
    """Whether a text closes a thought that it does not open."""
    return CLOSES in text and OPENS not in text


def opening_text(opening: Opening) -> str:
    """The text of a turn that begins with this thought, as a server goes on from it."""
    return f"{OPENS}\n{opening.thought}" + (f"\n{CLOSES}\n\n" if opening.closed else "")
