"""Grade the answer to a reasoning problem: a letter for multiple choice, a number, or LaTeX (math-verify)."""

import re

_NUMBER = re.compile(r"-?(?:\d[\d,]*\.?\d*|\.\d+)")
_LETTER = re.compile(r"answer(?:\s+is)?\s*[:=]?\s*\(?\**\(?([A-J])\b\)?", re.IGNORECASE)


def grade(answer: str | None, expected: str, options: list[str]) -> bool:
    """Whether `answer` ends in the expected result. No answer, or none that can be read, is wrong."""
    if answer is None or not answer.strip():
        return False
    if options:
        return read_choice(answer, options) == expected
    if _as_number(expected) is not None:
        found = _NUMBER.findall(answer)
        return bool(found) and _as_number(found[-1]) == _as_number(expected)
    from math_verify import parse, verify

    return bool(verify(parse(f"${expected}$", parsing_timeout=None), parse(answer, parsing_timeout=None)))


def read_choice(answer: str, options: list[str]) -> str | None:
    """The letter an answer settles on: the last `Answer: X`, a lone leading letter, or the one option quoted whole."""
    letters = [chr(ord("A") + i) for i in range(len(options))]
    if stated := [letter.upper() for letter in _LETTER.findall(answer) if letter.upper() in letters]:
        return stated[-1]
    if lone := re.match(r"\s*\(?([A-J])\)?(?:[.):]|\s*$)", answer):
        return lone.group(1) if lone.group(1) in letters else None
    quoted = [letter for letter, option in zip(letters, options, strict=True) if option.lower() in answer.lower()]
    return quoted[0] if len(quoted) == 1 else None


def _as_number(text: str) -> float | None:
    try:
        return float(text.replace(",", "").rstrip("."))
    except ValueError:
        return None
