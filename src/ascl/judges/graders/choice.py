"""The letter of the option an answer chooses."""

import re

from ascl.judges.graders.plain_text import plain
from ascl.judges.graders.stated import CHOICE, Statement, read_stated, without_asides

_OPEN = r"[\s:=*(\[{<\"'$-]*"
_CLOSE = r"[)\]}>\"'*.:$]*"
_NOUN = rf"(?:(?i:(?:the\s+)?(?:(?:correct|right|best)\s+)?(?:answer|option|choice|letter)\s*(?:is\b|:)?){_OPEN})?"
# A small letter, `A` and `I` may be words themselves; a letter before an operator is a quantity.
_LETTER = re.compile(
    rf"{_OPEN}{_NOUN}(?:([A-Z])(?!\w|'\w)(?!\s*[=+^_]\s*[\w\\])(?!(?<=[AI])\s+(?!(?:as|because|for|is|since|with|and|or)\b)[a-z])"
    rf"|([a-z])(?=[)\]}}\"'.:]|\s*$)|([b-hj])(?=,?\s+(?:because|since|as)\b))",
    re.MULTILINE,
)
_ALSO = re.compile(
    rf"{_CLOSE}\s*+((?:,\s*+)?(?:\b(?:and|or)\b(?:/or\b)?|&&?|[/+;|、∨∧→])|,){_OPEN}+{_NOUN}([A-Za-z])(?!\w|'\w){_CLOSE}\s*([a-z]*)"
)
# Letters in a row that end a statement, and words that take a letter back.
_ROW = re.compile(rf"{_CLOSE}(?:[^\S\n]+[(\[]?[A-Z](?!\w)[)\].]?)+[^\S\n]*(?:\n|\Z)")
_TAKEN_BACK = re.compile(
    rf"{_CLOSE}\s*+[-–—(,]?\s*+(?:(?:is|was)(?:n't|\s+not)|(?:(?:is|was)\s+)?(?:wrong|incorrect|false))\b"
)
_WHOLE = re.compile(rf"{_OPEN}{_NOUN}([A-Za-z]){_CLOSE}\s*")
_LONGEST = 2000  # characters of an option
_ALONE = re.compile(r"^[ \t(*\[]*(?:(?i:answer|option|choice)[ \t]+[(*\[]*)?([A-Z])[)*\].]*[ \t]*$", re.MULTILINE)
_LEADING = re.compile(r"^[^\S\n]*[(*]{0,3}([A-J])[)*]{0,3}(?:[.):]|[^\S\n]*$)", re.MULTILINE)
_VERDICT = re.compile(
    r"""
      (?<![\w'])[(\[]?([A-J])[)\]]?[ ]+(?:is|(?:must|would)[ ]+be)[ ]+(?:(?:therefore|clearly|the)[ ]+)*
      (?:correct|right|best|answer)\b
    | \b(?i:choose|chose|pick|select|(?:go|going)[ ]+with|must[ ]+be|it[ ]+is|it's|therefore,?|thus,?|hence,?|so,?)[ ]+
      (?:(?:answer|option|choice)[ ]+)?[(\[]?([A-J])[)\]]?
      (?=[.,;:!]?[ ]*$|[.,;:!][ ]|[ ]+(?:because|since|as)\b)""",
    re.MULTILINE | re.VERBOSE,
)


def read_choice(answer: str, options: list[str]) -> str | None:
    """The letter an answer settles on, or None.

    In this order: the last one it states (a box, "Answer: C", "the correct option is C"), as a letter or as an option's
    text; "C is correct", "I choose C"; a letter alone on a line or in front of one; the only option it quotes. A letter
    beyond the options is no choice, nor is a statement that names several. Of an option 2,000 characters are read.
    """
    letters = [chr(ord("A") + i) for i in range(len(options))]
    texts = [re.sub(r"^(?:an?|the)\s+", "", plain(option[:_LONGEST]).lower().strip(" .")) for option in options]
    text = plain(answer)
    stated = read_stated(text, lambda statement: _read(statement, letters, texts), CHOICE)
    if stated is not None:
        return stated or None
    if whole := _WHOLE.fullmatch(text):
        return whole[1].upper() if whole[1].upper() in letters else None
    told = without_asides(text)
    if verdicts := [first or second for first, second in _VERDICT.findall(told)]:
        return verdicts[-1] if verdicts[-1] in letters else None
    for pattern in (_ALONE, _LEADING):
        if named := set(pattern.findall(told)):
            return named.pop() if len(named) == 1 and named.issubset(letters) else None
    return _quoted(text, letters, texts)


def _read(statement: Statement, letters: list[str], texts: list[str]) -> str | None:
    """The letter a statement names, "" where it names none of the options or several, None where it names nothing."""
    found = _LETTER.match(statement.text)
    if found is None:
        return _quoted(re.split(r"(?<=[.!?])\s|\n", statement.text, maxsplit=1)[0], letters, texts)
    letter = found[1] or found[2] or found[3]
    if _ROW.match(statement.text, found.end()) or _TAKEN_BACK.match(statement.text, found.end()):
        return ""
    also = _ALSO.match(statement.text, found.end())
    if also and also[2].upper() != letter.upper() and also[2].islower() <= letter.islower():
        clause = (
            ("", "are", "and", "or")
            if also[1].strip() == ","
            else ("", "are", "and", "or", "is", "both", "because", "since")
        )
        if also[3] in clause:
            return ""
    return letter.upper() if letter.upper() in letters else ""


def _quoted(text: str, letters: list[str], texts: list[str]) -> str | None:
    """The letter of the only option whose words are in the text; one within a longer one there does not count."""
    said = text.lower()
    there = [i for i, option in enumerate(texts) if option and re.search(rf"(?<!\w){re.escape(option)}(?!\w)", said)]
    quoted = [i for i in there if not any(i != j and texts[i] != texts[j] and texts[i] in texts[j] for j in there)]
    return letters[quoted[0]] if len(quoted) == 1 else None
