"""Which rules are read where clients say that too much was refused: a share for each rule, of the answers that read it.

Clients judge few of their answers, and those they are unhappy with, so the shares compare rules and are no rates of
over-refusal. An answer that read three rules speaks against all three of them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from ascl.saved import checked
from ascl.serve.trail.consultations import Recorded
from ascl.serve.trail.records import found
from ascl.serve.trial.feedback import Verdict
from ascl.stats import wilson

ENOUGH = 20  # answers that read a rule, before it is ranked


@dataclass(frozen=True)
class RuleSignal:
    """A rule: the answers that read it, those with any verdict, and those marked over_refusal.

    low, high: Wilson's interval of marked / answers. shrunk: see there.
    """

    answers: int
    judged: int
    marked: int
    low: float
    high: float
    shrunk: float


@dataclass(frozen=True)
class Signals:
    """verdicts: how many requests have each. answers: those that read any rule; marked: of these, over_refusal.

    rules: those that ENOUGH answers read, by the lower bound of their share, the highest first. few: how many answers
    read each of the others.
    """

    verdicts: dict[str, int]
    answers: int
    marked: int
    rules: dict[str, RuleSignal]
    few: dict[str, int]


class _Given(BaseModel):
    id: str
    verdict: Verdict


def verdicts(path: Path) -> dict[str, set[Verdict]]:
    """The verdicts of a trail, by request. Raises InputError where one is damaged."""
    given: dict[str, set[Verdict]] = {}
    for one in found(path, "kind = 'feedback'"):
        read = checked(_Given, one, f"record {one['seq']} of the trail")
        given.setdefault(read.id, set()).add(read.verdict)
    return given


def signals(past: Iterable[Recorded], given: Mapping[str, set[Verdict]]) -> Signals:
    """The signal of each rule. past: the consultations of a trail; a request with several choices is one answer."""
    read: dict[str, set[str]] = {}
    for one in past:
        if one.ending == "content_filter":  # the guard refused, not the rules
            continue
        read.setdefault(one.answer.partition(" ")[0], set()).update(one.rules)
    answers, judged, marked = Counter[str](), Counter[str](), Counter[str]()
    for request, rules in read.items():
        said = given.get(request, set())
        answers.update(rules)
        judged.update(rules if said else ())
        marked.update(rules if "over_refusal" in said else ())
    ranked = [rule for rule, count in answers.items() if count >= ENOUGH]
    means = shrunk([(marked[rule], answers[rule]) for rule in ranked])
    rules_of = {
        rule: RuleSignal(answers[rule], judged[rule], marked[rule], *wilson(marked[rule], answers[rule]), mean)
        for rule, mean in zip(ranked, means, strict=True)
    }
    return Signals(
        verdicts=dict(Counter(verdict for said in given.values() for verdict in said)),
        answers=len(read),
        marked=sum("over_refusal" in given.get(request, set()) for request in read),
        rules=dict(sorted(rules_of.items(), key=lambda item: (-item[1].low, -item[1].shrunk, item[0]))),
        few={rule: count for rule, count in sorted(answers.items()) if count < ENOUGH},
    )


def shrunk(counts: Sequence[tuple[int, int]]) -> list[float]:
    """Shares k_i / n_i of m rules, drawn towards their common mean p as far as they differ by chance alone.

    counts: (k_i, n_i) with 0 <= k_i <= n_i and n_i > 0. The beta-binomial of Kleinman (JASA 68, 1973), by moments: with
    N = sum n_i, p = sum k_i / N and S = sum n_i (k_i / n_i - p)^2,

        rho = (S / (p (1 - p)) - (m - 1)) / (N - sum n_i^2 / N - (m - 1)), cut at 0 and 1
        share_i = (k_i + s p) / (n_i + s) with s = (1 - rho) / rho

    so p for all where rho is 0. Each lies between k_i / n_i and p.
    """
    total, m = sum(n for _, n in counts), len(counts)
    if not total:
        return []
    p = sum(k for k, _ in counts) / total
    room = total - sum(n * n for _, n in counts) / total - (m - 1)
    if p in (0, 1) or room <= 0:
        return [p] * m
    spread = sum(n * (k / n - p) ** 2 for k, n in counts) / (p * (1 - p))
    rho = min(1.0, (spread - (m - 1)) / room)
    if rho <= 0:
        return [p] * m
    strength = (1 - rho) / rho
    return [(k + strength * p) / (n + strength) for k, n in counts]
