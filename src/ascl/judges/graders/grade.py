"""Grade the answer to a reasoning problem: a letter for multiple choice, a number, or LaTeX (math-verify).

The result an answer states counts (`stated.py`), else the last number or expression of its text. None, "could not be
read", is for answers that hold no number, no expression or no choice; a wrong one is False.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

from ascl.judges.graders import latex
from ascl.judges.graders.choice import read_choice
from ascl.judges.graders.denied import denied, either
from ascl.judges.graders.expression import ASIDE, as_latex, expressions, values, without_unit
from ascl.judges.graders.plain_text import apart, plain
from ascl.judges.graders.stated import Statement, boxes, read_stated, without_asides

LONGEST = 20_000  # characters of an answer
_LONGEST_EXPRESSION = 500

# What may stand between a mark and the result: "about", "equal to", "a total of".
_LEAD = re.compile(
    r"(?:[\s:=*\"'•]|(?:therefore|thus|hence|then|now|simply|just|exactly|only|indeed|about|approximately|around|roughly"
    r"|equal\s+to|given\s+by|found\s+to\s+be|as\s+follows|(?:a\s+)?total\s+of|the\s+(?:number|value))\b[,:]?)*",
    re.IGNORECASE,
)
_SUM = re.compile(r"\s*[a-zA-Z][a-zA-Z ]{0,40}[-+*/×=](?:[^.!?\n]|\.(?=\d))*")
_CHAIN = re.compile(r"(?<![<>!])=|≈|⇒|→|\\(?:approx|simeq|implies|iff|to|Rightarrow|rightarrow)(?![a-zA-Z])")
_ABOUT = re.compile(r"≈|\\(?:approx|simeq)(?![a-zA-Z])")
_PROSE_LETTER = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z]\s+(?=-?[\d.])")  # "17 a 5"
_VARIABLE = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z](?![a-zA-Z])")
_BASE = re.compile(r"(?<=[\da-fA-F])_\{?(\d+)\}?")
_ASSIGNED = re.compile(r"\s*([a-zA-Z](?:_\w)?)\s*=([^=]*)")
_NAMED = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z](?:_\w)?\s*(?:=|∈|\\in(?![a-zA-Z]))\s*")
_WORD = re.compile(r"[a-zA-Z]+(?:['-][a-zA-Z]+)*|\d+")
_EITHER = re.compile(r"\bor\b")
_PREDICATE = re.compile(r".*(?:\b(?:is|are|was|equals|be|called|named)\b|[:=])", re.DOTALL | re.IGNORECASE)


def grade(answer: str | None, expected: str, options: list[str]) -> bool | None:
    """Whether `answer` states the expected result; None where no result can be read in it. No answer is wrong.

    The last 20,000 characters are read, and the first 20,000 of what is expected.
    """
    if answer is None or not answer.strip():
        return False
    answer, expected = answer[-LONGEST:], expected[:LONGEST]
    if options:
        choice = read_choice(answer, options)
        return None if choice is None else choice == expected
    text, wanted = plain(answer), apart(plain(expected.strip("$ "))).strip()
    if words := _words_of(expected, wanted):
        said = read_stated(text, _said) or _said_last(text, words)
        return (
            None if said is None else said[: len(words)] == words and said[len(words) : len(words) + 1] not in _HEDGES
        )
    numbers = set() if _VARIABLE.search(wanted) else values(wanted)
    found = read_stated(text, lambda statement: _stated(statement, bool(numbers)))
    whole = found is not None
    if found is None:
        found = _last(text[: boxes(text)[1]], bool(numbers))
    if not found:
        return False if _denies("\n".join([text, *(held for _, held in boxes(text)[0])]), bool(numbers)) else None
    return _is_number(found, wanted, numbers, whole) if numbers else _is_expression(found, wanted)


def _stated(statement: Statement, numeric: bool) -> str | None:
    """The expression a statement gives, None where it gives none. A box without one is "": nothing else counts then."""
    text = _LEAD.sub("", statement.text, count=1)
    if statement.boxed:
        text = apart(text).strip(" ,;:").rstrip(" .,;:")
        if not numeric or (values(text) and not _denies(text, numeric)):
            return text
    else:
        text = re.split(r"\n\s*\n", text, maxsplit=1)[0]
    told = _results(text, numeric, statement.boxed)
    at, end, first = next(told, (0, 0, ""))
    if first and not text[:at].strip("([+ "):
        goes_on = _SUM.match(text, end)  # "5 pens + 3 pens = 8 pens"
        if goes_on and "=" in goes_on[0]:
            return max(expressions(goes_on[0].rpartition("=")[2]), default=(0, first))[1]
        last = next(told, (end, end, ""))
        return f"{first} or {last[2]}" if text[end : last[0]].strip() == "to" else first
    if not statement.boxed and (not first or re.search(r"[.!?]\s+\S", text)):
        return None
    return max(told, default=(0, 0, first))[2]


def _last(text: str, numeric: bool) -> str | None:
    """The last expression of a text, asides apart, or None."""
    for told in (ASIDE.sub("", without_asides(text)), text):
        if found := [e for _, _, e in _results(told, numeric)]:
            return _PROSE_LETTER.split(found[-1])[-1] if numeric and not values(found[-1]) else found[-1]
    return None


def _results(text: str, numeric: bool, boxed: bool = False) -> Iterator[tuple[int, int, str]]:
    """The expressions of a text that may be its result, and where each starts and ends.

    Those that it denies or bounds are none; two of which either may be the result are one, joined by "or".
    """
    held, is_denied = None, denied(text)
    for at, found in expressions(text, boxed):
        end = at + len(found)
        if not _tells(found, numeric) or is_denied(at, end):
            continue
        if held and either(text, held[1], at, end):
            held = (held[0], end, f"{held[2]} or {found}")
            continue
        if held:
            yield held
        held = (at, end, found)
    if held:
        yield held


def _denies(text: str, numeric: bool) -> bool:
    """Whether a text denies or bounds an expression that might be a result."""
    is_denied = denied(text)
    return any(_tells(found, numeric) and is_denied(at, at + len(found)) for at, found in expressions(text))


def _tells(expression: str, numeric: bool) -> bool:
    """Whether an expression may be a result: it holds a digit or a constant, or, where letters may, an operation."""
    if re.search(r"\d|√|π|∞|\\(?:frac|sqrt|pi|infty)|\bpi\b", expression):
        return True
    return not numeric and bool(
        re.search(r"\\[a-zA-Z]|[a-zA-Z]{3}|[a-zA-Z)]\s*[-+*/^=·×]\s*[\\a-zA-Z(]|[Α-ω]", expression)
    )


def _is_number(found: str, wanted: str, numbers: set[Decimal], whole: bool) -> bool:
    """Whether an expression is the number; of a list every item must be, or, where nothing was stated, the last one.

    Of alternatives every one must be.
    """
    items = [found] if values(found) else _items(found)
    whole = whole or bool(_EITHER.search(found))
    return all(
        any(_one_number(part, wanted, numbers) for part in _ends(item)) for item in (items if whole else items[-1:])
    )


def _ends(expression: str) -> list[str]:
    """What a chain of equations comes to; each of its parts where one is only about equal to the next."""
    parts = [part for part in _CHAIN.split(expression) if part.strip()] or [expression]
    return parts if _ABOUT.search(expression) else parts[-1:]


def _one_number(item: str, wanted: str, numbers: set[Decimal]) -> bool:
    """Whether one expression is the number, by its value or by math-verify."""
    said = values(item)
    if said and "%" in item and "%" in wanted:
        return max(said, key=abs) == max(numbers, key=abs)
    return (
        bool(said & numbers)
        if said
        else bool(latex.equal(as_latex(without_unit(wanted)), as_latex(without_unit(item))))
    )


def _items(text: str) -> list[str]:
    """The items of a list, which commas or words part outside of brackets."""
    items, depth = [""], 0
    for piece in re.split(r"([()\[\]{}]|[,;]|\b(?:and|or)\b)", text):
        depth += (piece in ("(", "[", "{")) - (piece in (")", "]", "}"))
        if depth == 0 and piece in (",", ";", "and", "or"):
            items.append("")
        else:
            items[-1] += piece
    return [item for item in items if item.strip()] or [text]


def _is_expression(found: str, wanted: str) -> bool:
    """Whether two expressions are written the same or equal by math-verify."""
    if _squeezed(found) == _squeezed(wanted):
        return True
    found, wanted = without_unit(found), without_unit(wanted)
    given, gold = _ASSIGNED.fullmatch(found), _ASSIGNED.fullmatch(wanted)
    if given and gold:
        if given[1] != gold[1]:
            return False
        found, wanted = given[2], gold[2]
    elif gold and "=" not in found:
        wanted = gold[2]
    if "=" not in wanted:
        wanted, found = _NAMED.sub("", wanted), _NAMED.sub("", found)
        return any(_same(part, wanted) for part in _ends(found))
    return _same(found, wanted)


def _same(found: str, wanted: str) -> bool:
    """Whether two expressions without units and names are the same."""
    if _squeezed(found) == _squeezed(wanted):
        return True
    if max(len(found), len(wanted)) > _LONGEST_EXPRESSION or any(
        re.search(r"\\[lc]?dots|…|\.\.\.|\d:\d\d(?!\d)", side) for side in (found, wanted)
    ):
        return False  # math-verify leaves out what it cannot read
    if _BASE.findall(found) != _BASE.findall(wanted):
        return False
    return bool(latex.equal(as_latex(_both_signs(wanted)), as_latex(_both_signs(found))))


def _both_signs(text: str) -> str:
    r"""`1 \pm x` as the list `1 + x, 1 - x`, in a list or alone."""
    if "±" not in text and r"\pm" not in text:
        return text
    inner = re.fullmatch(r"(\\\{|\{)(.*?)(\\\}|\})", text.strip())
    signs = [re.sub(r"±|\\pm(?![a-zA-Z])", sign, item) for item in _items(inner[2] if inner else text) for sign in "+-"]
    return r"\{" + ", ".join(dict.fromkeys(s.strip().removeprefix("+") for s in signs)) + r"\}"


def _squeezed(text: str) -> str:
    """The text as it is compared letter by letter: without space and needless braces."""
    return re.sub(r"\{(\w)\}", r"\1", re.sub(r"\s+", "", text)).rstrip(".,;:")


_DENIED = {"not", "no", "neither", "nor", "or"}
_HEDGES = (["or"], ["and"], ["nor"], ["but"])


def _words_of(expected: str, wanted: str) -> list[str]:
    """The words of a result that is a name or a word, such as `\\text{east}` or `\\text{(C)}`; none of any other."""
    if not re.search(r"\\(?:text|mbox|mathrm)|[a-zA-Z]{3}", expected) or re.search(r"[\d\\^_+*/=<>$]", wanted):
        return []
    return [
        word.lower() for word in _WORD.findall(re.sub(r"\b(\w) (?=\w\b)", r"\1", wanted) if len(wanted) < 9 else wanted)
    ]


def _said(statement: Statement) -> list[str] | None:
    """The words of a statement's first sentence."""
    text = _LEAD.sub("", statement.text, count=1)
    sentence = re.split(r"[.!?](?:\s|$)|\n", text, maxsplit=1)[0]
    words = [word.lower() for word in _WORD.findall(sentence)]
    while len(words) > 1 and words[0] in ("the", "a", "an", "option", "choice"):
        words = words[1:]
    return words or None


def _said_last(text: str, words: list[str]) -> list[str] | None:
    """The words after the verb of the last sentence; without a verb only a lone name or the words looked for."""
    sentences = [s for s in re.split(r"[.!?](?:\s|$)|\n", without_asides(text)) if _WORD.search(s)]
    if not sentences:
        return None
    if predicate := _PREDICATE.match(sentences[-1]):
        return _said(Statement(sentences[-1][predicate.end() :], False))
    last = [word.lower() for word in _WORD.findall(sentences[-1])]
    if len(sentences) == 1 and len(last) <= len(words):
        return last
    return words if last[-len(words) :] == words and not _DENIED & set(last[: -len(words)][-1:]) else None
