"""Has the model's consult rate moved? A new checkpoint, template or server that stops consulting must not go unseen.

Bernoulli CUSUM (Page, Biometrika 41, 1954): for each answer x in {0, 1} (it consulted, or not),

    S = max(0, S + x log(p1 / p0) + (1 - x) log((1 - p1) / (1 - p0)))

with p0 the expected rate and p1 the one to be found; the alarm is S >= h. Two of them look for a rate that fell and for
one that rose. The expected number of answers to a false alarm is at least exp(h) (Lorden 1971); a move to p1 is found
after about h / KL(p1 || p0) answers.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ascl.serve.books import CANDIDATE

THRESHOLD = 12.0  # exp(12) = 163,000 answers between false alarms, of each side: a month of 5,000 a day
FALL, RISE = 2 / 3, 4 / 3  # of the expected rate: what is looked for
FROM = 500  # answers that the expected rate is estimated from, where none is given


@dataclass
class ConsultDrift:
    """Looks at one answer after the other.

    expected: the consult rate, in (0, 1). moved: `fell` or `rose`, once found.
    """

    expected: float
    threshold: float = THRESHOLD
    moved: str | None = None
    seen: int = 0
    _sums: dict[str, float] = field(default_factory=lambda: {"fell": 0.0, "rose": 0.0})

    def __post_init__(self) -> None:
        if not 0 < self.expected < 1:
            raise ValueError("the expected rate is between 0 and 1")

    def add(self, consulted: bool) -> str | None:
        """Take an answer; returns `fell` or `rose` with the answer that shows it, None before and after."""
        self.seen += 1
        if self.moved is not None:
            return None
        for name, to in (("fell", self.expected * FALL), ("rose", min(self.expected * RISE, (1 + self.expected) / 2))):
            step = math.log(to / self.expected) if consulted else math.log((1 - to) / (1 - self.expected))
            self._sums[name] = max(0.0, self._sums[name] + step)
            if self._sums[name] >= self.threshold:
                self.moved = name
                return name
        return None


def looked_up(events: Iterable[dict[str, Any]]) -> Iterator[bool]:
    """Whether each finished answer consulted, from a trail's events (`audit.export`), oldest first.

    Answers to which the rules were given (the form `rag`) are left out, as nothing could be looked up, and those of a
    canary's candidate.
    """
    forms: dict[str, str] = {}
    for event in events:
        if event["kind"] == "begun":
            forms[event["id"]] = event.get("form", "ascl") if event.get("arm") != CANDIDATE else CANDIDATE
        elif forms.pop(event["id"], "ascl") == "ascl" and event["kind"] == "finished":
            yield from (bool(choice["consultations"]) for choice in event["choices"])


def first_move(consulted: Iterable[bool], expected: float | None = None) -> tuple[float | None, int, str | None]:
    """The expected rate, how many answers there are, and how the rate moved, of a row of answers in their order.

    expected: None for the rate of the first 500 answers, which is None again where there are fewer, or where all or
    none of them consulted.
    """
    answers = list(consulted)
    if expected is None:
        first = answers[:FROM]
        if len(first) < FROM or not 0 < sum(first) < FROM:
            return None, len(answers), None
        expected, answers = sum(first) / FROM, answers[FROM:]
        count = len(answers) + FROM
    else:
        count = len(answers)
    drift = ConsultDrift(expected)
    for one in answers:
        drift.add(one)
    return expected, count, drift.moved
