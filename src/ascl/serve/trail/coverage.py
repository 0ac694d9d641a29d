"""Rule coverage: which rules of a book the consultations of a trail returned, and which they never did.

A rule may be unused (no query was about it) or unreachable (not even its own words find it). The two are told apart.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ascl.rules.book import RuleBook
from ascl.serve.trail.consultations import Recorded
from ascl.stats import rule_of_three

ENOUGH = 5  # times that a rule came back before it counts as outranked: once or twice is chance


@dataclass
class RuleUse:
    """How a rule was used.

    mean_rank: 1 is the best. last: when it came back last (seconds since 1970). endings: of the answers that it came
    back for. outranked_by: the rules that stood before it every time, where it came back ENOUGH times.
    """

    retrieved: int = 0
    mean_rank: float | None = None
    last: float | None = None
    endings: dict[str, int] = field(default_factory=dict)
    outranked_by: list[str] = field(default_factory=list)


@dataclass
class Coverage:
    """How the rules of a book were used, in its order.

    versions: consultations by the version of the book they were made under. never: rules that never came back, and
    never_below: the upper 95 % bound of the share of consultations that return such a rule (None without any).
    unreachable: see there. others: ids that came back and are not in this book.
    """

    consultations: int
    versions: dict[str, int]
    rules: dict[str, RuleUse]
    never: list[str]
    never_below: float | None
    unreachable: list[str]
    others: dict[str, int]


def coverage(past: Iterable[Recorded], book: RuleBook, top_k: int) -> Coverage:
    """Count the rules of `book` in the consultations of a trail. top_k: of the look-ups that try to reach each rule."""
    uses: dict[str, RuleUse] = {}
    before: dict[str, set[str]] = {}
    ranks, answers = Counter[str](), dict[str, str]()
    versions = Counter[str]()
    for one in past:
        versions[one.version] += 1
        for rank, rule in enumerate(one.rules, start=1):
            use = uses.setdefault(rule, RuleUse())
            use.retrieved += 1
            use.last = max(use.last or one.at, one.at)
            ranks[rule] += rank
            first = set(one.rules[: rank - 1])
            before[rule] = before[rule] & first if rule in before else first
            if answers.get(rule) != one.answer:
                answers[rule] = one.answer
                use.endings[one.ending] = use.endings.get(one.ending, 0) + 1
    for rule, use in uses.items():
        use.mean_rank = ranks[rule] / use.retrieved
        use.outranked_by = sorted(before[rule]) if use.retrieved >= ENOUGH else []
    ids = [rule.id for rule in book.rules]
    return Coverage(
        consultations=versions.total(),
        versions=dict(versions),
        rules={id: uses.get(id, RuleUse()) for id in ids},
        never=[id for id in ids if id not in uses],
        never_below=rule_of_three(versions.total()),
        unreachable=unreachable(book, top_k),
        others={id: uses[id].retrieved for id in sorted(uses.keys() - set(ids))},
    )


def unreachable(book: RuleBook, top_k: int) -> list[str]:
    """The rules that neither a look-up of their text nor one of their title returns among its top_k."""
    return [
        rule.id
        for rule in book.rules
        if all(rule.id not in {one.id for one, _ in book.search(query, top_k)} for query in (rule.text, rule.title))
    ]
