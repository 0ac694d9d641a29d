"""Ids for the rules of a Markdown list that names none: kept in a file beside the list, or made from the words.

A made id changes when the first words of its rule change. `ascl rules ids` keeps the ids in `NAME.md.ids.json`; a rule
with other words is then recognised and keeps its id.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from itertools import count
from operator import add
from pathlib import Path

from pydantic import ValidationError

from ascl.errors import InputError, first_problem
from ascl.files import write_json
from ascl.inputs import read_json
from ascl.rules.rule import UNSPACED, Rule, is_word_character

_SIMILAR = 0.5  # from this similarity on two texts under one heading may be one rule, before and after an edit
_SIMILAR_ELSEWHERE = 0.8  # the same under two headings
_COMMON = 8  # kept texts that hold the same pair of words; held by more it says too little
_CANDIDATES = 2  # kept texts that a new one is compared with
# A word, or a character of a script that puts no spaces between words.
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
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
    where as many rules are left under a heading as kept ones, they are the same in this order. Linear in the length of
    the texts: a text is compared with the few kept ones that share most of its rarer pairs of words.
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
    before = list(left.values())
    now = [i for i, id in enumerate(ids) if id is None]
    pairs = [
        (rules[i][0] == old.title, _similarity(rules[i][1], old.text), i, old)
        for i, candidates in zip(now, _candidates([rules[i][1] for i in now], before), strict=True)
        for old in candidates
    ]
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


def _candidates(texts: Sequence[str], kept: Sequence[Rule]) -> list[list[Rule]]:
    """For each text the kept rules that share most pairs of words with it; pairs that many of them hold don't count."""
    holders: dict[str, list[int]] = {}
    for i, rule in enumerate(kept):
        for part in _parts(rule.text):
            holders.setdefault(part, []).append(i)
    found = []
    for text in texts:
        places = [holders[part] for part in _parts(text) if part in holders]
        shared = Counter(i for place in places if len(place) <= _COMMON for i in place)
        found.append([kept[i] for i, _ in shared.most_common(_CANDIDATES)])
    return found


def _parts(text: str) -> Iterable[str]:
    """The pairs of neighbouring words of a text (else its words), each once and in order."""
    words = _WORD.findall(text.lower())
    return dict.fromkeys(map(add, words, words[1:]) if len(words) > 1 else words)


def _similarity(one: str, other: str) -> float:
    """Dice's coefficient 2|A and B| / (|A| + |B|) in [0, 1] of two texts' letter pairs; so it works in any script."""
    a, b = _letter_pairs(one), _letter_pairs(other)
    return 2 * len(a & b) / (len(a) + len(b))


def _letter_pairs(text: str) -> set[str]:
    text = text.lower()
    return set(map(add, text, text[1:])) or {text}


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
