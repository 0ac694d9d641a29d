"""Policy regression: recorded consultations looked up again in an edited book, and queries that must find their rules.

Search has no chance in it, so no model is needed. What a replay can't see stands in `NOT_SEEN`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ascl.consult.tool import DEFAULT_TOP_K, MAX_TOP_K
from ascl.errors import InputError, first_problem
from ascl.inputs import iterate_jsonl
from ascl.rules.book import LONGEST_QUERY, RuleBook
from ascl.serve.trail.consultations import Recorded

MOST_QUERIES = 200  # changed queries that are listed
NOT_SEEN = (
    "not seen: consultations that would newly happen or no longer happen under this book; rules that come back with"
    " other words under the same id; what the model would answer"
)


@dataclass(frozen=True)
class Change:
    """A query that finds other rules, or the same in another order. count: consultations that asked it so."""

    query: str
    top_k: int
    before: tuple[str, ...]
    after: tuple[str, ...]
    count: int = 1

    @property
    def gained(self) -> list[str]:
        """Rules that come back now and did not."""
        return [rule for rule in self.after if rule not in self.before]

    @property
    def lost(self) -> list[str]:
        """Rules that came back and do not now."""
        return [rule for rule in self.before if rule not in self.after]

    @property
    def moved(self) -> list[str]:
        """Rules that come back at another rank."""
        return [rule for rank, rule in enumerate(self.before) if rule in self.after and self.after.index(rule) != rank]


@dataclass
class Tally:
    """Consultations: all of them, those that could be replayed, and of these those that find other rules."""

    consultations: int = 0
    replayed: int = 0
    changed: int = 0


@dataclass
class RuleTally:
    """Replayed consultations in which a rule is gained, is lost, or stands at another rank."""

    gained: int = 0
    lost: int = 0
    moved: int = 0


@dataclass
class Replay:
    """How an edited book differs from what was recorded.

    reordered: consultations that find the same rules in another order. versions: the tally of each version of the book
    that records were made under. rules: the rules that any consultation gained, lost or moved, the most touched first.
    queries: at most MOST_QUERIES, first those that stand for the most rules gained and lost.
    """

    total: Tally = field(default_factory=Tally)
    reordered: int = 0
    versions: dict[str, Tally] = field(default_factory=dict)
    rules: dict[str, RuleTally] = field(default_factory=dict)
    queries: list[Change] = field(default_factory=list)


def replay(past: Iterable[Recorded], book: RuleBook) -> Replay:
    """Look each consultation up in `book` with its own top_k, and compare the ids with the recorded ones.

    A consultation without its query or its top_k is counted and can't be replayed.
    """
    found, changes = Replay(), Counter[tuple[str, int, tuple[str, ...], tuple[str, ...]]]()

    @cache
    def look_up(query: str, top_k: int) -> tuple[str, ...]:
        return tuple(rule.id for rule, _ in book.search(query, top_k))

    for one in past:
        tallies = (found.total, found.versions.setdefault(one.version, Tally()))
        for tally in tallies:
            tally.consultations += 1
        if one.query is None or one.top_k is None:
            continue
        after = look_up(one.query, one.top_k)
        for tally in tallies:
            tally.replayed += 1
            tally.changed += set(after) != set(one.rules)
        if after != one.rules:
            found.reordered += set(after) == set(one.rules)
            changes[one.query, one.top_k, one.rules, after] += 1
    listed = [Change(*key, count) for key, count in changes.items()]
    found.queries = sorted(listed, key=_weight, reverse=True)[:MOST_QUERIES]
    found.rules = _by_rule(listed)
    return found


def _weight(change: Change) -> tuple[int, int]:
    return change.count * (len(change.gained) + len(change.lost)), change.count * len(change.moved)


def _by_rule(changes: list[Change]) -> dict[str, RuleTally]:
    rules: dict[str, RuleTally] = {}
    for change in changes:
        for rule in change.gained:
            rules.setdefault(rule, RuleTally()).gained += change.count
        for rule in change.lost:
            rules.setdefault(rule, RuleTally()).lost += change.count
        for rule in change.moved:
            rules.setdefault(rule, RuleTally()).moved += change.count
    return dict(sorted(rules.items(), key=lambda item: (-item[1].gained - item[1].lost, -item[1].moved, item[0])))


class Golden(BaseModel):
    """A query and the ids of the rules that must be among the top_k that come back."""

    model_config = ConfigDict(extra="forbid", strict=True)

    query: str = Field(min_length=1, max_length=LONGEST_QUERY)
    rules: list[str] = Field(min_length=1, max_length=MAX_TOP_K)
    top_k: int = Field(default=DEFAULT_TOP_K, ge=1, le=MAX_TOP_K)


def read_golden(path: Path) -> list[Golden]:
    """The golden queries of a JSONL file. Raises InputError naming the line, also where one could never be met."""
    found = []
    for number, row in iterate_jsonl(path):
        try:
            one = Golden.model_validate(row)
        except ValidationError as error:
            raise InputError(f"{path}, line {number}: {first_problem(error)}") from error
        if len(set(one.rules)) > one.top_k:
            raise InputError(f"{path}, line {number}: {len(set(one.rules))} rules can't be in a top_k of {one.top_k}")
        found.append(one)
    if not found:
        raise InputError(f"{path}: holds no queries")
    return found


def missing(golden: Golden, book: RuleBook) -> list[str]:
    """The rules of a golden query that do not come back."""
    back = {rule.id for rule, _ in book.search(golden.query, golden.top_k)}
    return [rule for rule in dict.fromkeys(golden.rules) if rule not in back]
