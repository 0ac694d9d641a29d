"""The words of Markdown's inline tokens, without their marks: bold, code, links and images give their text."""

import re
from collections.abc import Collection, Sequence

from markdown_it.token import Token


def plain_text(tokens: Sequence[Token], leave_out: Collection[str] = ()) -> str:
    """The words of a paragraph's tokens, with single spaces.

    What is struck out, comments and the numbers of footnotes are left out, and of `link` and `image` those that are
    named in `leave_out`.
    """
    return " ".join("".join(_parts(tokens, {"s", *leave_out})).split())


def _parts(tokens: Sequence[Token], leave_out: Collection[str]) -> list[str]:
    parts: list[str] = []
    hidden = 0  # how many texts that are left out are open
    for token in tokens:
        kind = token.type.removesuffix("_open").removesuffix("_close")
        if kind in leave_out:
            hidden += token.nesting
        elif hidden:
            continue
        elif kind in ("softbreak", "hardbreak") or (kind == "html_inline" and re.match(r"(?i)<br\b", token.content)):
            parts.append(" ")
        elif kind == "text":
            parts.append(re.sub(r"\[\^[^\]\[\s]{1,100}\]", "", token.content))
        elif kind == "code_inline":
            parts.append(token.content)
        elif kind == "image":
            parts += _parts(token.children or [], leave_out)
    return parts
