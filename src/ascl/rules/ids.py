"""Ids for the rules of a Markdown list that names none: kept in a file beside the list, or made from the words.

A made id changes when the first words of its rule change. `ascl rules ids` keeps the ids in `NAME.md.ids.json`; a rule
with other words is then recognised and keeps its id.
"""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from itertools import count
from pathlib import Path

from pydantic import ValidationError

from ascl.errors import InputError, first_problem
from ascl.files import write_json
from ascl.inputs import read_json
from ascl.rules.rule import Rule, is_word_character

_SIMILAR = 0.5  # from this similarity on two texts under one heading may be one rule, before and after an edit
_SIMILAR_ELSEWHERE = 0.8  # the same under two headings
_MOST_PAIRS = 1_000_000  # of a new text and a kept one; comparing them takes about five seconds
_FIRST_WORDS = 6  # of a text make its id
_MOST_WORDS = 40  # are tried before a number makes it free
_LONGEST = 80  # characters, for texts without spaces


def ids_file(file: Path) -> Path:
    """Where the ids of a Markdown list are kept."""
    return file.with_name(f"{file.name}.ids.json")


def read_ids(file: Path) -> list[Rule]:
    """The rules of a Markdown list as they were when their ids were kept; none where none are kept."""
    path = ids_file(file)
    if not path.exists():
        return []
    rows = read_json(path)
    if not isinstance(rows, list):
        raise InputError(f"{path}: a list of rules is expected; remove this file, or write it with `ascl rules ids`")
    rules: dict[str, Rule] = {}
    for number, row in enumerate(rows, start=1):
        try:
            rule = Rule.model_validate(row)
        except ValidationError as error:
            raise InputError(f"{path}, rule {number}: {first_problem(error)}") from error
        if rule.id in rules:
            raise InputError(f"{path}, rule {number}: the id {rule.id} is there a second time; keep one of the two")
        rules[rule.id] = rule
    return list(rules.values())


def write_ids(file: Path, rules: Sequence[Rule]) -> None:
    """Keep the ids of these rules of a Markdown list."""
    write_json(ids_file(file), [rule.model_dump() for rule in rules])


def recognise(rules: Sequence[tuple[str, str]], kept: Sequence[Rule]) -> list[str | None]:
    """The kept id of each rule, given as (title, text); None for a new rule.

    A rule is recognised by its text, then by a similar text (both under the same heading first), and last by its place:
    where as many rules are left under a heading as kept ones, they are the same in this order. Raises InputError where
    more than _MOST_PAIRS pairs of texts would have to be compared.
    """
    ids: list[str | None] = [None] * len(rules)
    left = {rule.id: rule for rule in kept}
    for any_title in (False, True):
        same: dict[tuple[str, str], list[str]] = {}
        for old in reversed(left.values()):
            same.setdefault(("" if any_title else old.title, old.text), []).append(old.id)
        for i, (title, text) in enumerate(rules):
            if ids[i] is None and (there := same.get(("" if any_title else title, text))):
                ids[i] = there.pop()
                del left[str(ids[i])]
    before = [(old, _bigrams(old.text)) for old in left.values()]
    now = [(i, _bigrams(rules[i][1])) for i, id in enumerate(ids) if id is None]
    if len(before) * len(now) > _MOST_PAIRS:
        raise InputError(
            f"it keeps {len(before)} ids of rules that are not in the list, which has {len(now)} new ones: too many to"
            " compare; remove this file, or write the ids into the list"
        )
    pairs = [(rules[i][0] == old.title, _dice(new, letters), i, old) for i, new in now for old, letters in before]
    for same_title, similarity, i, old in sorted(pairs, key=lambda pair: pair[:2], reverse=True):
        if similarity >= (_SIMILAR if same_title else _SIMILAR_ELSEWHERE) and ids[i] is None and old.id in left:
            ids[i] = old.id
            del left[old.id]
    new: dict[str, list[int]] = {}
    for i, (title, _) in enumerate(rules):
        if ids[i] is None:
            new.setdefault(title, []).append(i)
    gone: dict[str, list[str]] = {}
    for old in left.values():
        gone.setdefault(old.title, []).append(old.id)
    for title, places in new.items():
        if len(places) == len(gone.get(title, ())):
            for i, id in zip(places, gone[title], strict=True):
                ids[i] = id
    return ids


def _bigrams(text: str) -> set[str]:
    return {text[i : i + 2].lower() for i in range(max(1, len(text) - 1))}


def _dice(one: set[str], other: set[str]) -> float:
    """Dice's coefficient 2|A and B| / (|A| + |B|) in [0, 1]; of two texts' letter pairs it works in any script."""
    return 2 * len(one & other) / (len(one) + len(other))


def make_ids(rules: Sequence[tuple[str, str]], taken: Collection[str]) -> list[str]:
    """`category.first_words` for each (title, text), with more words, then a number, where an id is taken already."""
    used = set(taken)
    numbers: dict[str, int] = {}  # the next number of a name that is taken
    categories: dict[str, str] = {}
    slugs: set[str] = set()
    ids = []
    for title, text in rules:
        if title not in categories:
            categories[title] = _first_free([slug(title)], slugs, numbers)
            slugs.add(categories[title])
        words = text.split(maxsplit=_MOST_WORDS)[:_MOST_WORDS]
        starts = (slug(" ".join(words[:n])) for n in range(_FIRST_WORDS, max(_FIRST_WORDS, len(words)) + 1))
        names = (f"{categories[title]}.{start[:_LONGEST].strip('_')}" for start in starts)
        ids.append(_first_free(names, used, numbers))
        used.add(ids[-1])
    return ids


def _first_free(names: Iterable[str], taken: Collection[str], numbers: dict[str, int]) -> str:
    """The first name that isn't taken; else the last with the lowest number, from 2 on, that makes it free.

    numbers: where to begin to count for a name that was counted for before.
    """
    for name in names:
        if name not in taken:
            return name
    number = next(number for number in count(numbers.get(name, 2)) if f"{name}_{number}" not in taken)
    numbers[name] = number + 1
    return f"{name}_{number}"


@lru_cache(maxsize=1 << 14)
def slug(text: str) -> str:
    """Small words joined by underscores, in any script; a text of signs alone gives the signs' Unicode names."""
    return _joined(text) or _joined(" ".join(unicodedata.name(sign, "") for sign in text[:_LONGEST])) or "rule"


def _joined(text: str) -> str:
    text = unicodedata.normalize("NFKC", text.lower())
    text = "".join(sign if is_word_character(sign) and sign != "_" else " " for sign in text)
    return "_".join(text.lower().split())
