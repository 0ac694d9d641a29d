"""Texts that make a regular expression work: the beginnings of its matches, repeated.

What costs a backtracking engine more than linear time is a repeat that is begun at many places and fails at each: its
beginning without its end, again and again. Those beginnings are taken from the compiled pattern itself.
"""

import re
from collections.abc import Iterator
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

REPEATS = (constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT)
LONG = 40  # a repeat that may go on so far is a pump
MOST_FORMS = 6  # alternatives of a branch that are tried

# What degenerate output, Markdown, code and mathematics repeat.
GENERIC = (
    *("a", "A", "é", "i ", "the ", "word, ", "1", "1 ", "1,", "1.", "12 a 3 b ", "x", "=", "-", "*", "_", "#", ">"),
    *(" ", "\t", "\n", "\n\n", " \n", "\n ", "\r\n", "\u200b", "\u00a0", "¤", "，", "。", "漢字", "नी", "🙂", "\ud800"),
    *("`", "``", "```", "```\n", "```a```", " ```a``` ", "`a` ", "`a ", "~~~\n", "|", "| ", "| a |\n", "- ", "- a\n"),
    *("(", ")", "((", "()", "[", "]", "[[", "[]", "[a](", "![", "{", "}", "{}", "{{", "<", ">", "<a>", "</a>", "<!--"),
    *("$", "$$", "$a$ ", "\\", "\\(", "\\boxed{", "\\boxed{1} ", "\\frac{", "\\text{a}", "^{", "_{", "\\$", "**", "~"),
    *('"', "'", "'a ", '"a ', "a: ", "A. ", "a.", "a. ", "? ", "! ", "... ", ", but ", ":", ";", "&", "&amp;", "&#"),
    *("%", "<think>", "</think>", "<tool_call>", "</tool_call>", "<|im_end|>", "<|im_start|>", '{"a":', "[1,"),
    *("> ", "> > ", "1. ", "* * ", "    a\n", "# a\n", "a\n===\n", "[a]: b\n", "[^a]", "<https://a", "www.a.", "a@b."),
)  # fmt: skip


def patterns_of(module: ModuleType) -> list[re.Pattern[str]]:
    """The compiled patterns of a module, those in its dictionaries and tuples besides."""
    found: list[re.Pattern[str]] = []
    for value in vars(module).values():
        values = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else [value]
        found += [item for item in values if isinstance(item, re.Pattern) and isinstance(item.pattern, str)]
    return found


def units_of(pattern: re.Pattern[str]) -> list[str]:
    """Texts whose repetition begins the pattern again and again, none longer than 100 characters."""
    items = list(parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG))
    units = {unit for prefix in _prefixes(items) for unit in prefix} | set(_sequence(items))
    return sorted(unit for unit in units if 0 < len(unit) <= 100)


def _prefixes(items: list[Any]) -> Iterator[tuple[str, ...]]:
    """What a sequence matches up to each long repeat in it, the repeat's body once, and that body alone."""
    said = [""]
    for item in items:
        for inner, *alone in _repeats_in(item):
            yield (*(before + inner for before in said), *alone)
        said = [before + form for before in said for form in _forms(item)][:MOST_FORMS]


def _repeats_in(item: Any) -> Iterator[tuple[str, ...]]:
    """Of each long repeat in an item: what the item matches up to it, its body once, and that body alone."""
    kind, value = item
    bodies: list[Any] = []
    if kind in REPEATS:
        bodies = [value[2]]
        if value[1] >= LONG:
            yield from ((form, form) for form in _sequence(list(value[2])))
    elif kind is constants.BRANCH:
        bodies = value[1]
    elif kind is constants.SUBPATTERN:
        bodies = [value[-1]]
    elif kind is constants.ATOMIC_GROUP:
        bodies = [value]
    elif kind in (constants.ASSERT, constants.ASSERT_NOT):
        bodies = [value[1]]
    for body in bodies:
        for units in _prefixes(list(body)):
            yield from ((unit,) for unit in units)


def _forms(item: Any) -> list[str]:
    """Some short texts that an item matches."""
    kind, value = item
    if kind is constants.LITERAL:
        return [chr(value)]
    if kind is constants.NOT_LITERAL:
        return [next(c for c in "a1 " if ord(c) != value)]
    if kind is constants.ANY:
        return ["a"]
    if kind is constants.IN:
        return [_member(value)]
    if kind is constants.BRANCH:
        return [form for branch in value[1] for form in _sequence(list(branch))[:2]][:MOST_FORMS]
    if kind is constants.SUBPATTERN:
        return _sequence(list(value[-1]))
    if kind is constants.ATOMIC_GROUP:
        return _sequence(list(value))
    if kind in REPEATS:
        least, most, body = value
        once = _sequence(list(body))
        forms = [form * max(least, 1) for form in once]
        return [*forms, ""] if least == 0 and most else forms
    if kind is constants.ASSERT and value[0] > 0:
        return ["", *_sequence(list(value[1]))[:1]]
    return [""]  # a position, a backreference, a look-behind


def _sequence(items: list[Any]) -> list[str]:
    forms = [""]
    for item in items:
        forms = [before + form for before in forms for form in _forms(item)][:MOST_FORMS]
    return forms


def _member(members: list[Any]) -> str:
    """A character of a set."""
    negated = members[0][0] is constants.NEGATE
    if not negated:
        kind, value = members[0]
        if kind is constants.LITERAL:
            return chr(value)
        if kind is constants.RANGE:
            return chr(value[0])
        return {"CATEGORY_SPACE": " ", "CATEGORY_DIGIT": "1", "CATEGORY_NOT_SPACE": "a"}.get(value.name, "a")
    pattern = re.compile("[^" + "".join(map(_as_set, members[1:])) + "]")
    return next((c for c in "a1 .,-\n" if pattern.match(c)), "")


def _as_set(member: Any) -> str:
    kind, value = member
    if kind is constants.LITERAL:
        return re.escape(chr(value))
    if kind is constants.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    shown = {"SPACE": r"\s", "DIGIT": r"\d", "WORD": r"\w", "NOT_SPACE": r"\S", "NOT_DIGIT": r"\D", "NOT_WORD": r"\W"}
    return shown[value.name.removeprefix("CATEGORY_").removeprefix("UNI_")]
