"""How soon does a canary find a candidate that is worse, and how often one that is not? A simulation, no model.

    python studies/canary.py [--runs 1000] [--seed 0]

Prints, for shares of traffic and rates of an event (a refusal, a fault) under the book in force and the candidate,
after how many conversations the test of `ascl.serve.trial.canary` ends the canary: the median / the 90 % quantile over
the runs, with all tests on, so at the level of one. The last rows are candidates that are no different: how many
of the runs were ended by any of the tests, each looked at after every one of 2,000 events. The promise is 5 % at
most. Conversations are independent coins; each counts once.
"""

import argparse
import math
from collections.abc import Sequence

import numpy as np

from ascl.serve.trial.canary import ALPHA, LESS, MORE, TESTS, log_evidence

ROWS = [(0.05, 0.10), (0.20, 0.30), (0.20, 0.10), (0.01, 0.03), (0.001, 0.01)]
SHARES = (0.05, 0.1, 0.5)
EVENTS, LONGER = 2000, 4000  # that a run looks at; so that the slowest row ends


def ended(
    theta: float, share: float, ratios: Sequence[float], runs: int, events: int, generator: np.random.Generator
) -> np.ndarray:
    """For each run, the event (from 1) with which one test of the five ends it; 0 where none does. int [runs].

    theta: the probability that an event is under the candidate.
    """
    k = np.cumsum(generator.random((runs, events)) < theta, axis=1)
    over = log_evidence(k, np.broadcast_to(np.arange(1, events + 1), k.shape), share, ratios) >= ENOUGH
    return np.where(over.any(axis=1), over.argmax(axis=1) + 1, 0)


ENOUGH = math.log(len(TESTS) / ALPHA)


def false_alarms(share: float, runs: int, events: int, seed: int) -> float:
    """The share of runs that any of the tests ends though the arms do not differ."""
    generator = np.random.default_rng(seed)
    alarm = np.zeros(runs, dtype=bool)
    for _, ratios in TESTS.values():
        alarm |= ended(share, share, ratios, runs, events, generator) > 0
    return float(alarm.mean())


def conversations(active: float, candidate: float, share: float, runs: int, seed: int) -> np.ndarray:
    """For each run, the conversations until it is ended, of an event with these rates. float [runs], inf for never."""
    generator = np.random.default_rng(seed)
    rate = share * candidate + (1 - share) * active
    ratios = MORE if candidate > active else LESS
    last = ended(share * candidate / rate, share, ratios, runs, LONGER, generator)
    waits = last + generator.negative_binomial(np.maximum(last, 1), rate)
    return np.where(last > 0, waits, np.inf)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"| in force | candidate | {' | '.join(f'share {100 * share:g} %' for share in SHARES)} |")
    print("|---:|---:|---:|---:|---:|")
    for active, candidate in ROWS:
        found = [conversations(active, candidate, share, options.runs, options.seed) for share in SHARES]
        cells = [" / ".join(f"{one:,.0f}" for one in np.quantile(runs, [0.5, 0.9], method="higher")) for runs in found]
        print(f"| {100 * active:g} % | {100 * candidate:g} % | {' | '.join(cells)} |", flush=True)
    print("\n| share | ended though no different |")
    print("|---:|---:|")
    for share in SHARES:
        print(f"| {100 * share:g} % | {100 * false_alarms(share, options.runs, EVENTS, options.seed):.1f} % |")


if __name__ == "__main__":
    main()
