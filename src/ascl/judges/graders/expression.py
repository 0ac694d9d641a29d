r"""Numbers and expressions in plain text: where they begin and end, their value, and how LaTeX writes them.

Works on the text that `plain_text.plain` gives: "The length is 3√2 m." holds the expression `3√2 m`, "x = -$70." holds
`x = -$70`, whose value is -70. A word ends an expression, and so do a full stop and an aside in parentheses.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

_MONEY = "$€£¥₹¢"
_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?!\w))?"
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12, "k": 3, "M": 6, "bn": 9}
_SCALE = r"(?:(?:hundred|thousand|million|billion|trillion|dozen)s?\b|(?<=\d)(?:k|M|bn)\b)"
_NAMES = r"(?:arc)?(?:sin|cos|tan|cot|sec|csc)h?|log|ln|exp|sqrt|pi|infinity|inf|mod|max|min"
_SIGNS = r"-+*/^_=<>≤≥≠≈±∓×·÷√∛∪∩∈∞°%&,:;!Α-ωϑϕ→⇒" + _MONEY
_TOKEN = re.compile(
    rf"""(?P<number>{_NUMBER}(?:\s?{_SCALE})?)
    |(?P<command>\\(?:(?:begin|end)\{{\w+\*?\}}|[a-zA-Z]+|[{{}}|])|\\\\(?:\[\w+\])?)
    |(?P<name>(?:{_NAMES})(?![a-zA-Z]))
    |(?P<letter>(?<![a-zA-Z'])[a-zA-Z](?![a-zA-Z']|\.[a-zA-Z])|(?<=[\d}}])[abnpqruvwxyz]{{2,3}}(?![a-zA-Z]))
    |(?P<join>(?:and|or)(?=\s+[-+±]?\s?(?:[{_MONEY}]?[\d.(]|\\[a-z])|\s+[a-zA-Z]\s?=))
    |(?P<open>[(\[{{])|(?P<close>[)\]}}])
    |(?P<sign>[{_SIGNS}]|\|(?=\S)|(?<=\S)\|)""",
    re.VERBOSE,
)
_WORD = rf"(?<![\\a-zA-Z])(?!(?:{_NAMES}|and|or)(?![a-zA-Z]))[a-zA-Z]{{2}}"
ASIDE = re.compile(
    rf"(?<=[\w%)}}°]) ?\((?!(?:or )?(?:perhaps|maybe|possibly)\b)[^()\n]{{0,200}}?{_WORD}[^()\n]{{0,200}}\)"
)
_MIXED = re.compile(r"\d+/\d+")
_ASIDE = re.compile(rf"\((?=[^()\n]{{0,200}}?{_WORD}|\d+\)(?!\s*[\d(]))")
_LONGEST = 2000  # characters of an expression
_DEEPEST = 20  # brackets in brackets

# Atomic and possessive parts: what was read one way is not tried another, so reading is linear.
_EXPONENT = r"(?>\s?\^\s?\{?\s?-?\d\s?\}?|(?<=[a-zA-Z])[23](?![\d.]))"
_UNIT_LETTER = rf"[mgshlLdAVWNJKCFcptTMBGW](?![a-zA-Z]){_EXPONENT}?"
_UNIT_WORD = rf"(?!(?:{_NAMES}|and|or|to)(?![a-zA-Z]))[a-zA-Z]{{2}}"
_WORDS_ON = r"(?>[^\d=^]+|\^\s?\{?\s?-?\d|\^|(?<=[a-zA-Z])[23](?![\d.]))*+"  # no digit but an exponent
_UNITS = rf"(?:{_UNIT_LETTER}(?:[\s/·*]*+{_UNIT_LETTER})*|{_UNIT_WORD}{_WORDS_ON})"
_DEGREES = r"(?:°|\^\{?\s?(?:\\circ|\\degree|°|o)\s?\}?|\\degree)\s?[CFK]?(?![a-zA-Z])"
_VALUE = re.compile(
    rf"(?P<sign>[-+]?)\s?[{_MONEY}]?\s?(?P<minus>-?)(?P<number>{_NUMBER}|\d+,\d\d?)\s?(?P<scale>{_SCALE})?\s?(?P<percent>%)?"
    rf"[{_MONEY}]?\s?(?:{_DEGREES})?(?:\s*+(?:/\s*+)?{_UNITS})?"
)


# A word with the exponent of a unit or the number in a name (`cm^2`, `H2O`); the code of a currency alone.
_SKIPPED = re.compile(
    rf"(?:USD?|EUR|GBP|INR|CAD|AUD|Rs\.?)(?=\s?[{_MONEY}]?\d)|[^\W\d_]+(?:['-][^\W\d_]+)*(?:{_EXPONENT}|\d+)?"
)
_LEADING = re.compile(r"(?:[\s,;:*/=^_%!&<>→⇒]|(?:and|or)\b)+")
_LOOSE = r"[\s,;:*/=^_&<>→⇒(\[{|+√-]"
_TRAILING = re.compile(rf"(?<!{_LOOSE})(?:{_LOOSE}|\b(?:and|or))+$")
_PUNCTUATION = re.compile(r"-\s+(?=\S)")
_MINUS_AFTER = re.compile(r"(?:\b(?:is|are|be|equals)|[=:(]|^)\s*$", re.IGNORECASE)


def expressions(text: str, mathematics: bool = False) -> Iterator[tuple[int, str]]:
    """The expressions of a text and where each starts; `mathematics`: the text is all mathematics, as in a box."""
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup in ("close", "join"):
            word = _SKIPPED.match(text, at)
            at = word.end() if word else at + 1
            continue
        end, unclosed = _end(text, at, mathematics)
        if unclosed is not None:  # a word stands in the bracket: the expression ends before it, the next begins in it
            end = unclosed
        found = text[at:end]
        if (lead := _LEADING.match(found)) is not None:
            at, found = at + lead.end(), found[lead.end() :]
        dash = _PUNCTUATION.match(found)
        if dash and not _MINUS_AFTER.search(text[max(at - 12, 0) : at]):
            at, found = at + dash.end(), found[dash.end() :]
        if found := _TRAILING.sub("", found):
            yield at, found
        at = max(end, at + 1)


def _end(text: str, at: int, mathematics: bool) -> tuple[int, int | None]:
    """Where the expression that starts at `at` ends, and the outermost bracket that is still open there."""
    start, before = at, ""
    opened: list[int] = []
    while at < len(text) and at - start < _LONGEST:
        token = _TOKEN.match(text, at)
        if token is None:
            if text[at] != " " and not (text[at] == "\n" and (opened or mathematics)):
                break
            at += 1
            continue
        kind, said = token.lastgroup or "", token[0]
        after = text[token.end() : token.end() + 2]
        apart = before == "number" and not opened and text[at - 2 : at] == "  " and re.match(r"-?[\d.]", said + after)
        second = kind == "number" and before in ("number", "close") and text[at - 1] == " "
        article = said in ("a", "A", "I") and before in ("", "number") and re.match(r"\s\w", after) and not mathematics
        if apart or article or (second and not _MIXED.match(text, at)):
            break
        if kind == "open":
            if len(opened) == _DEEPEST:
                return at, None
            if said == "(" and before in ("number", "close") and _ASIDE.match(text, at):
                break
            opened.append(at)
        elif kind == "close":
            if not opened:
                break
            opened.pop()
        elif (said == "!" and not mathematics and not re.match(r"[\d)}\]\\/*+-]", after)) or (
            said == ":" and not opened and not (text[at - 1 : at].isdigit() and after[:1].isdigit())
        ):
            break
        before, at = kind, token.end()
    return at, opened[0] if opened else None


def values(expression: str) -> set[Decimal]:
    """What a written number may stand for: 24% is 24 or 0.24, 2 million 2 or 2,000,000. Empty: it is no lone number.

    A text of more than 2,000 characters is none.
    """
    if len(expression) > _LONGEST:
        return set()
    text = expression.strip(" ,;:").rstrip(" .,;:")
    while len(text) > 1 and text[0] + text[-1] in ("()", "[]", "{}") and not set("()[]{}") & set(text[1:-1]):
        text = text[1:-1].strip()
    found = _VALUE.fullmatch(text)
    if found is None:
        return set()
    value = Decimal(found["number"].replace(",", "."))
    if "-" in (found["sign"], found["minus"]):
        value = -value
    said = {value}
    if found["percent"]:
        said.add(value / 100)
    if (scale := found["scale"]) and (len(scale) > 2 or set(_MONEY) & set(text)):
        times = scale if scale in _SCALES else scale.rstrip("s")
        said.add(value * 12 if times == "dozen" else value.scaleb(_SCALES[times]))
    return said


_SYMBOLS = {
    **{
        "×": r"\times ",
        "·": r"\cdot ",
        "÷": "/",
        "±": r"\pm ",
        "∓": r"\mp ",
        "π": r"\pi ",
        "∞": r"\infty ",
        "∪": r"\cup ",
    },
    **{
        "∩": r"\cap ",
        "∈": r"\in ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "≠": r"\ne ",
        "≈": r"\approx ",
        "θ": r"\theta ",
        "*": r"\cdot ",
    },
    **{"°": r"^\circ ", "∛": r"\sqrt[3]", "√": r"\sqrt", "ϕ": r"\phi "},
}
_TRAILING_UNIT = re.compile(rf"(?<=[\w)\]}}%])\s++{_UNITS}$|\s?(?:{_DEGREES})$|\s?[{_MONEY}]$")


def without_unit(expression: str) -> str:
    """The expression without a currency sign and a unit at its end; one of more than 2,000 characters as it is."""
    if len(expression) > _LONGEST:
        return expression
    return _TRAILING_UNIT.sub("", re.sub(rf"[{_MONEY}]\s?(?=[\d.])", "", expression)).strip()


def as_latex(expression: str) -> str:
    r"""The expression as LaTeX: `3√2`, `sqrt(2)/2`, `2^10`, `1 4/5` and unicode signs become commands and groups."""
    text = re.sub(rf"(?<![\\a-zA-Z])({_NAMES})(?![a-zA-Z])", _command, expression)
    text = "".join(_SYMBOLS.get(c, c) for c in text)
    text = re.sub(r"(\\sqrt(?:\[\w\])?)\s*\(([^()]*)\)", r"\1{\2}", text)
    text = re.sub(r"(\\sqrt(?:\[\w\])?)\s*(\d+(?:\.\d+)?)", r"\1{\2}", text)
    text = re.sub(r"\^\s*\(([^()]*)\)", r"^{\1}", text)
    text = re.sub(r"\^\s*(-?\d+(?:\.\d+)?)", r"^{\1}", text)
    text = re.sub(r"(?<![\d.^/_])(\d+) (\d+)/(\d+)(?![\d.])", r"(\1+\\frac{\2}{\3})", text)
    text = re.sub(r"(?<![\d.^_}])(\d+)\s*\\frac\s*(?=[\d{])(\{\d+\}|\d)\s*(\{\d+\}|\d)", r"(\1+\\frac{\2}{\3})", text)
    text = re.sub(r"(?<!\d)(\d+(?:\.\d+)?)[eE]([-+]?\d+)(?!\w)", r"\1\\cdot 10^{\2}", text)
    text = re.sub(r"(?<=\d)\s*[xX]\s*(?=\d)", r"\\times ", text)
    first, *more = re.split(r"\b(?:and|or)\b", text)
    items = [first, *(item.lstrip() for item in more)]
    text = ", ".join([*(item.rstrip().removesuffix(",").rstrip() for item in items[:-1]), items[-1]])
    return text.replace("%", r"\%").replace("$", "").strip()


def _command(name: re.Match[str]) -> str:
    """A function's name as a LaTeX command."""
    return {"infinity": r"\infty ", "inf": r"\infty ", "sqrt": r"\sqrt", "pi": r"\pi "}.get(name[1], f"\\{name[1]} ")
