"""Is the candidate worse? A test that may be looked at after every answer, of two arms that a share of traffic parts.

Each conversation is in the candidate's arm with probability rho, whatever it is about. Where the arm changes nothing,
a conversation in which something happened (a fault, a refusal) was in that arm with probability rho too, however often
such things happen and however that varies over time. Where they happen r times as often under the candidate, the
probability is theta_r = rho r / (rho r + 1 - rho). So n conversations with the event, k of them under the candidate,
are a likelihood ratio test of theta_r against rho, and its mixture over m ratios r is an e-process:

    E = 1/m  sum_r  (theta_r / rho)^k ((1 - theta_r) / (1 - rho))^(n - k)

By Ville's inequality E ever reaches 1 / alpha with probability alpha at most. With all r above 1 this holds wherever
theta <= rho (a candidate that is no worse), and with all r below 1 wherever theta >= rho: both are one-sided.

After Lindon and Malek, "Anytime-valid inference for multinomial count data" (arXiv 2011.03567), their test of Bernoulli
processes whose rates vary over time. Deviations: a finite mixture on one side, where they mix with a Dirichlet over all
theta; a conversation counts once for each kind of event, as conversations are what is drawn independently.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

Arm = Literal["active", "candidate"]
Test = Literal[
    "more faults",
    "more refusals",
    "fewer refusals",
    "more answers withheld",
    "more over-refusals reported",
    "more harmful answers reported",
]
ALPHA = 0.05  # of all tests of a canary together
MORE = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)  # times as often: what is looked for
LESS = tuple(1 / ratio for ratio in MORE)
# What a canary is ended by: the event, and how many times as often it happens.
TESTS: dict[Test, tuple[str, Sequence[float]]] = {
    "more faults": ("fault", MORE),
    "more refusals": ("refused", MORE),
    "fewer refusals": ("refused", LESS),
    "more answers withheld": ("withheld", MORE),
    "more over-refusals reported": ("over_refusal", MORE),
    "more harmful answers reported": ("harmful", MORE),
}
OF_REFUSALS: tuple[Test, ...] = ("more refusals", "fewer refusals")
OF_A_GUARD: tuple[Test, ...] = ("more answers withheld",)
MOST = 50_000  # conversations with an event that are counted; nothing that matters is found later than that


def log_evidence(candidate: ArrayLike, events: ArrayLike, share: float, ratios: Sequence[float]) -> np.ndarray:
    """log E of the formula above.

    candidate: k, how many of the events were under the candidate. events: n, of the same shape [..]. share: rho, in
    (0, 1). ratios: r, all above 1 or all below. Returns float [..]. Raises ValueError for a share or ratio outside.
    """
    if not 0 < share < 1 or not (min(ratios) > 1 or 0 < min(ratios) <= max(ratios) < 1):
        raise ValueError("the share is between 0 and 1, and the ratios are all above 1 or all below")
    k = np.asarray(candidate, dtype=float)
    rest = np.asarray(events, dtype=float) - k
    found = np.full(k.shape, -np.inf)
    for ratio in ratios:
        theta = share * ratio / (share * ratio + 1 - share)
        found = np.logaddexp(found, k * math.log(theta / share) + rest * math.log((1 - theta) / (1 - share)))
    return found - math.log(len(ratios))


@dataclass
class Comparison:
    """The tests of one candidate against the book in force, told of events as they come.

    tests: those of TESTS that end the canary, each at the level ALPHA / their number. counts: by event, how many
    conversations had it under the candidate and in all. worse: the test that first said so.
    """

    share: float
    tests: Sequence[Test] = tuple(TESTS)
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    worse: Test | None = None
    _seen: set[tuple[str, str]] = field(default_factory=set)

    @property
    def enough(self) -> float:
        """log of what E of a test must reach."""
        return math.log(len(self.tests) / ALPHA)

    def add(self, events: Iterable[str], conversation: str, arm: Arm) -> Test | None:
        """Take what happened in an answer; returns the test that shows with it that the candidate is worse."""
        found: list[Test] = []
        for event in events:
            if (event, conversation) in self._seen or len(self._seen) >= MOST:
                continue
            self._seen.add((event, conversation))
            k, n = self.counts.get(event, (0, 0))
            self.counts[event] = k + (arm == "candidate"), n + 1
            found += [name for name in self.tests if TESTS[name][0] == event and self.evidence(name) >= self.enough]
        if self.worse is not None or not found:
            return None
        self.worse = found[0]
        return self.worse

    def evidence(self, test: Test) -> float:
        """log E of a test as things stand."""
        event, ratios = TESTS[test]
        return float(log_evidence(*self.counts.get(event, (0, 0)), self.share, ratios))
