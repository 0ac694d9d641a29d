"""What a candidate would have returned for the look-ups of live traffic, held against what the book in force returned.

A query that comes again finds the same again. So an interval counts the look-ups for as many independent ones as they
are worth: (sum c)^2 / sum c^2 with c the look-ups of each query (Kish, Survey Sampling, 1965).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field

from ascl.consult.tool import MAX_TOP_K
from ascl.saved import checked
from ascl.stats import Estimate, wilson


@dataclass
class RuleShift:
    """A rule in the look-ups.

    before, after: how many return it under the book in force and in the candidate. gained, lost: shares of all.
    """

    before: int = 0
    after: int = 0
    gained: Estimate = field(default_factory=Estimate)
    lost: Estimate = field(default_factory=Estimate)


@dataclass
class Shadow:
    """The look-ups of the newest candidate. others: look-ups that were made in older candidates.

    versions: look-ups by the version of the book in force. queries: how many different ones. differ: the share that
    find other rules. reordered: how many find the same in another order. rules: those that any look-up gains or loses,
    the most first.
    """

    candidate: str
    versions: dict[str, int]
    lookups: int
    queries: int
    others: int
    differ: Estimate
    reordered: int
    rules: dict[str, RuleShift]


class _LookUp(BaseModel):
    query: str
    rules: list[tuple[str, float]] = Field(max_length=MAX_TOP_K)
    candidate: list[str] | None = Field(default=None, max_length=MAX_TOP_K)


class _Choice(BaseModel):
    consultations: list[_LookUp] = []


class _Event(BaseModel):
    candidate: str = ""
    rules: str = ""
    choices: list[_Choice] = []


@dataclass(frozen=True)
class _Pair:
    query: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def shadow(events: Iterable[dict[str, Any]], since: float = 0.0) -> Shadow | None:
    """Read a trail's events (`audit.export`), of answers that ended at `since` or later; None without such a look-up.

    Raises InputError where an event is damaged.
    """
    under_way: dict[str, tuple[str, str]] = {}
    pairs: dict[str, Counter[_Pair]] = defaultdict(Counter)
    versions: dict[str, Counter[str]] = defaultdict(Counter)
    newest = ""
    for event in events:
        if event["kind"] not in ("begun", "finished", "failed", "aborted"):
            continue
        said = checked(_Event, event, f"record {event['seq']} of the trail")
        if event["kind"] == "begun":
            under_way[event["id"]] = said.candidate, said.rules
            continue
        candidate, version = under_way.pop(event["id"], ("", ""))
        looked_up = [one for choice in said.choices for one in choice.consultations]
        for one in looked_up:
            if one.candidate is not None and event["at"] >= since:
                newest = candidate
                versions[newest][version] += 1
                pairs[newest][_Pair(one.query, tuple(id for id, _ in one.rules), tuple(one.candidate))] += 1
    if not pairs:
        return None
    others = sum(counts.total() for candidate, counts in pairs.items() if candidate != newest)
    return _shadow(newest, dict(versions[newest]), pairs[newest], others)


def _shadow(candidate: str, versions: dict[str, int], pairs: Counter[_Pair], others: int) -> Shadow:
    total = pairs.total()
    per_query = Counter[str]()
    shifts: dict[str, RuleShift] = defaultdict(RuleShift)
    gained, lost, differ, reordered = Counter[str](), Counter[str](), 0, 0
    for pair, count in pairs.items():
        per_query[pair.query] += count
        before, after = set(pair.before), set(pair.after)
        differ += count * (before != after)
        reordered += count * (before == after and pair.before != pair.after)
        for rule in before | after:
            shifts[rule].before += count * (rule in before)
            shifts[rule].after += count * (rule in after)
            gained[rule] += count * (rule in after - before)
            lost[rule] += count * (rule in before - after)
    worth = total**2 / sum(count**2 for count in per_query.values())

    def share(hits: int) -> Estimate:
        low, high = wilson(hits / total * worth, worth)
        return Estimate(value=hits / total, low=min(low, hits / total), high=max(high, hits / total), n=total)

    moved = [rule for rule in shifts if gained[rule] + lost[rule]]
    for rule in moved:
        shifts[rule].gained, shifts[rule].lost = share(gained[rule]), share(lost[rule])
    rules = {rule: shifts[rule] for rule in sorted(moved, key=lambda rule: (-gained[rule] - lost[rule], rule))}
    return Shadow(candidate, versions, total, len(per_query), others, share(differ), reordered, rules)
