"""What arXiv 2602.13562 says about its arms, as a checklist for the lab's figures.

A claim is a difference that should be positive. It is measured once for each seed, and its 95 % interval over the seeds
(Student's t on the paired differences) decides: wholly above 0, reproduced; wholly below, not reproduced; else unclear.
With few seeds the interval is wide: a small true difference stays unclear.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ascl.evals.arms import Claim
from ascl.stats import Estimate, paired_over_seeds

LAST = 10  # training steps that "the end of training" is the mean of


@dataclass(frozen=True)
class Seed:
    """What an arm came to with one seed: the figures of its evaluation, and its RL training step by step."""

    figures: Mapping[str, float | None]
    curve: Sequence[Mapping[str, float]]


Results = Mapping[str, Seed]  # by arm, for one seed


def verdict(difference: Estimate) -> str:
    """`reproduced`, `not reproduced` or `unclear`, by the rule above."""
    if difference.low is None or difference.high is None:
        return "unclear"
    if difference.low > 0:
        return "reproduced"
    return "not reproduced" if difference.high < 0 else "unclear"


def measured(arm: str, metric: str) -> Callable[[Results], float | None]:
    """Reads a figure of the evaluation."""
    return lambda results: results[arm].figures[metric]


def trained(arm: str, series: str, at_the_end: bool = True) -> Callable[[Results], float | None]:
    """Reads the mean of a training curve over its last (or first) steps."""

    def read(results: Results) -> float | None:
        values = [row[series] for row in results[arm].curve if series in row]
        part = values[-LAST:] if at_the_end else values[:LAST]
        return statistics.fmean(part) if part else None

    return read


def constant(value: float) -> Callable[[Results], float | None]:
    """A fixed bar to compare with."""
    return lambda results: value


Reader = Callable[[Results], float | None]
PAPER: list[tuple[str, str, str, Reader, Reader]] = [
    (
        "GRPO comes to consult more than it did at the start",
        "consult-rate plot",
        "consult rate in training, last 10 steps minus first 10",
        trained("grpo", "consult_rate"),
        trained("grpo", "consult_rate", at_the_end=False),
    ),
    (
        "IFPO comes to consult less than it did at the start",
        "consult-rate plot",
        "consult rate in training, first 10 steps minus last 10",
        trained("ifpo", "consult_rate", at_the_end=False),
        trained("ifpo", "consult_rate"),
    ),
    (
        "IFPO ends training with less consulting than GRPO",
        "consult-rate plot",
        "consult rate, last 10 steps, GRPO minus IFPO",
        trained("grpo", "consult_rate"),
        trained("ifpo", "consult_rate"),
    ),
    (
        "A price on consulting ends it on sensitive prompts",
        "ablation",
        "10 % minus the consult rate on sensitive prompts, last 10 steps",
        constant(0.1),
        trained("consult_penalty", "consult_rate_sensitive"),
    ),
    (
        "A price on consulting costs H-avg",
        "ablation",
        "H-avg, GRPO minus GRPO with the price",
        measured("grpo", "h_avg"),
        measured("consult_penalty", "h_avg"),
    ),
    (
        "IFPO tells harmful from sensitive prompts better than GRPO",
        "our reading of its weights",
        "consult rate, harmful minus sensitive, IFPO minus GRPO",
        measured("ifpo", "selectivity"),
        measured("grpo", "selectivity"),
    ),
    (
        "Where no rules are needed, GRPO comes to consult more than the clone did",
        "consult rate on reasoning sets, our reading",
        "consult rate on sums, GRPO minus BC",
        measured("grpo", "consult_reasoning"),
        measured("bc", "consult_reasoning"),
    ),
    (
        "Where no rules are needed, IFPO consults less than GRPO",
        "consult rate on reasoning sets",
        "consult rate on sums, GRPO minus IFPO",
        measured("grpo", "consult_reasoning"),
        measured("ifpo", "consult_reasoning"),
    ),
    (
        "IFPO keeps more reasoning than GRPO",
        "main table",
        "accuracy on sums, IFPO minus GRPO",
        measured("ifpo", "reasoning"),
        measured("grpo", "reasoning"),
    ),
    (
        "IFPO has the higher H-avg",
        "main table",
        "H-avg, IFPO minus GRPO",
        measured("ifpo", "h_avg"),
        measured("grpo", "h_avg"),
    ),
    (
        "RL makes the cloned model safer",
        "main table",
        "safety, IFPO minus BC",
        measured("ifpo", "safety"),
        measured("bc", "safety"),
    ),
    (
        "RL takes over-refusal away",
        "main table",
        "over-refusal, BC minus IFPO",
        measured("bc", "over_refusal"),
        measured("ifpo", "over_refusal"),
    ),
    (
        "RL separates harmful from harmless requests better than cloning",
        "main table",
        "separation, IFPO minus BC",
        measured("ifpo", "separation"),
        measured("bc", "separation"),
    ),
    (
        "Rules in the weights cost reasoning",
        "surrogate ablation",
        "accuracy on sums, GRPO minus surrogate",
        measured("grpo", "reasoning"),
        measured("surrogate", "reasoning"),
    ),
    (
        "Rules in the weights do not carry over to a new book",
        "what the method is for",
        "safety under rules never seen, GRPO minus surrogate",
        measured("grpo", "safety"),
        measured("surrogate", "safety"),
    ),
]


def checklist(seeds: Sequence[Results]) -> list[Claim]:
    """Every claim whose arms were run, with its difference over the seeds and the verdict."""
    found = []
    for text, source, what, more, less in PAPER:
        try:
            difference = paired_over_seeds([more(results) for results in seeds], [less(results) for results in seeds])
        except KeyError:
            continue
        found.append(Claim(text=text, source=source, measured=what, difference=difference, verdict=verdict(difference)))
    return found
