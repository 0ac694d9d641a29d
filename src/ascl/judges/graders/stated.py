r"""Where an answer states its result: a box, `####`, "Answer:", "the answer is".

Works on the text that `plain_text.plain` gives. What follows a mark is handed to a reader; the last mark whose text the
reader can read counts. Notes, offers, questions and a further problem after the result state nothing.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")

_MODAL = r"(?:would|must|should|will|can\s+only|(?:has|seems|appears|turns\s+out)\s+to)"
_VERB = rf"(?:{_MODAL}\s+be|is|are|equals|comes?\s+(?:out\s+)?to)\b"
_AFTER = rf"[\s\"')]*(?:{_VERB}|[:=→]|-+>|\s[-–—]\s)[\s:=]*(?:is\b)?[\s:=]*"
_OF = r"(?:\s+(?:to|for|of|in|on|from|here|then|thus|therefore)\b[^.:=\n]{0,60}?)?"
ANSWER = r"answers?|ans|final\s+(?:result|value)"
CHOICE = rf"{ANSWER}|option|choice|selection"
_UNSURE = re.compile(
    r"\b(?:if|unless|might|may|could|would|why|mistake|say|says|said|wrong|incorrect|suppose|assume|than|not)\b|n't\b",
    re.I,
)
_STATEMENT = 1000  # characters of a statement
_MOST = 20  # statements of an answer that are tried
_SENTENCE = re.compile(r"((?<=[.!?])[\"')\]]*\s+|(?<=[.!?][\"')\]])\s+|\n+)")
_NOTE = re.compile(
    r"\W*(?:notes?\b|n\.?\s?b\.|p\.?\s?s\.|remarks?\b|sources?:|references?:|disclaimer|confidence\b|\[\^?\w+\]:?\s)",
    re.I,
)
_OFFER = re.compile(
    r"\W*(?:(?:tell|ask)\s+me|let\s+me\s+know|feel\s+free|(?:would|do|could|can|did)\s+you|if\s+you|i\s+hope|hope\s+th|please"
    r"|thank|(?:time|this)\s+(?:took|taken|spent)|(?:it|that)\s+took\s+me)\b",
    re.I,
)
_NEXT_PROBLEM = re.compile(
    r"^\W{0,5}(?:(?:next\s+|new\s+)?(?:question|problem|exercise|q)\s*+(?:\d++\s*+)?[:.)]|(?:human|user|instruction)\s*:)",
    re.I | re.MULTILINE,
)
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{")
_BRACE = re.compile(rf"{_BOX.pattern}|\\[{{}}]|[{{}}]")
_JOINED = re.compile(r"[\s}]*+(?:[,;]|(?:,\s*+)?(?:and|or)\b)\s*(?:(?:perhaps|maybe|possibly)\s+)?(?:[a-zA-Z]\s*=\s*)?")


class Statement(NamedTuple):
    """What follows a mark, or what a box holds."""

    text: str
    boxed: bool


def read_stated(text: str, read: Callable[[Statement], T | None], nouns: str = ANSWER) -> T | None:
    """What `read` reads in the last statement it can, or None; in what stands before a further problem first."""
    told = without_asides(text)
    further = _NEXT_PROBLEM.search(text)
    first = [without_asides(text[: further.start()])] if further else []
    for part in dict.fromkeys([*first, told, text]):
        for statement in statements(part, nouns):
            if (value := read(statement)) is not None:
                return value
    return None


def statements(text: str, nouns: str = ANSWER) -> Iterator[Statement]:
    """What the answer states, the last first; what it states in a sentence of doubt comes at the end."""
    mark = re.compile(
        rf"^[ \t]*#{{4,}}[ \t]*|<answer>\s*|\b(?:{nouns})\b{_OF}{_AFTER}"
        r"|^[ #*_>-]{0,9}(?:final\s+)?(?:answer|result)[ #*_]{0,9}\n\s*",
        re.IGNORECASE | re.MULTILINE,
    )
    found = [(True, end, Statement(content, True)) for end, content in boxes(text)[0]]
    for m in mark.finditer(text):
        sentence = _SENTENCE.split(text[max(m.start() - 200, 0) : m.start()])[-1]
        sure = not _UNSURE.search(sentence + m[0])
        found.append((sure, m.end(), Statement(text[m.end() : m.end() + _STATEMENT].strip(), False)))
    for _, _, statement in sorted(found, key=lambda f: f[:2], reverse=True)[:_MOST]:
        yield statement


def boxes(text: str) -> tuple[list[tuple[int, str]], int]:
    r"""The contents of `\boxed{}` with the place each ends at, and where a box starts that is not closed (or the end).

    Boxes joined by a comma or a word are one list. Of boxes in boxes only the outer one counts.
    """
    spans: list[tuple[int, int, int]] = []  # where it starts, where its content does, where it ends
    opened: list[tuple[int, int]] = []
    for brace in _BRACE.finditer(text):
        if brace[0] not in (r"\{", r"\}", "}"):
            opened.append(brace.span())
        elif brace[0] == "}" and opened:
            start, content = opened.pop()
            if content - start > 1:
                while spans and spans[-1][0] > start:
                    spans.pop()
                spans.append((start, content, brace.end()))
    found: list[tuple[int, list[str]]] = []
    for start, inner, end in spans:
        held = _BOX.sub("{", text[inner : end - 1]).strip()
        items: list[str] = []
        if found and _JOINED.fullmatch(text, found[-1][0], start):
            _, items = found.pop()
        found.append((end, items if items == [held] else [*items, held]))
    return [(end, ", ".join(items)) for end, items in found], min(
        (start for start, content in opened if content - start > 1), default=len(text)
    )


def without_asides(text: str) -> str:
    """The text without its notes, offers and questions."""
    kept, in_note = [], False
    for piece in _SENTENCE.split(text):
        if not piece.strip():
            in_note = in_note and "\n" not in piece
            kept.append(piece)
            continue
        in_note = in_note or bool(_NOTE.match(piece))
        kept.append("" if in_note or _OFFER.match(piece) or piece.rstrip("\"')] ").endswith("?") else piece)
    return "".join(kept)
