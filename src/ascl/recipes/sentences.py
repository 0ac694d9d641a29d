"""A thought as numbered sentences, so that a model can point at what was written instead of copying it."""

import re

_SENTENCE = re.compile(r".+?(?:[.!?][\"')\]]*(?=\s)|\n+|\Z)\s*", re.DOTALL)
_RANGE = r"\d{1,4}(?:\s*[-–]\s*\d{1,4})?"
_AND = r"(?:,\s*and\b|,|\band\b|&)"
_NUMBERS = re.compile(rf"{_RANGE}(?:\s*{_AND}\s*{_RANGE})*")
LONGEST = 500  # characters of a list of numbers


def sentences(text: str) -> list[str]:
    """The text cut into sentences and lines; put together again they are the text."""
    return [match.group() for match in _SENTENCE.finditer(text) if match.group()]


def numbered(text: str) -> str:
    """The sentences of a text, each on a line of its own with its number from 1."""
    return "\n".join(f"{n}. {' '.join(s.split())}" for n, s in enumerate(sentences(text), start=1))


def pointed_at(reply: str, text: str) -> str | None:
    """The sentences of a text that a reply names by their numbers, in order and as they stand there.

    Empty where it names none (`none`, `0`); None where it names others, or can't be read. Numbers stand alone, with
    commas, or as ranges (`1, 3-5`).
    """
    named = re.sub(r"^sentences?\b|[.\s]+$", "", reply.strip(), flags=re.IGNORECASE).strip(" \t()[]*_")
    if named.lower() in ("none", "0", "-", "n/a"):
        return ""
    if len(named) > LONGEST or not _NUMBERS.fullmatch(named):
        return None
    parts = sentences(text)
    chosen: set[int] = set()
    for one in re.split(_AND, named):
        first, *last = (int(number) for number in re.findall(r"\d+", one))
        end = last[0] if last else first
        if not 1 <= first <= end <= len(parts):
            return None
        chosen.update(range(first, end + 1))
    return "".join(parts[i - 1] for i in sorted(chosen)).strip()
