"""The arms of a run over their seeds: figures with intervals, differences between arms, and what came out, in words.

One seed is an anecdote. With one, a figure keeps the interval of its evaluation (over prompts); with more it is the
mean of the seeds' figures with Student's interval over the seeds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ascl.evals.metrics import LEFT_OUT
from ascl.stats import Estimate, over_seeds

NO_SHARES = ("separation", "selectivity", "tokens", "turns")  # figures that may leave 0 to 1


class ArmResult(BaseModel):
    """What an arm came to: a trained one, or the untrained model in a prompt variant.

    start: the arm whose model it was trained from; None for the base model. evaluations: the folder of each seed's
    evaluation, and rollouts: the file of each seed's RL rollouts, both as paths from the run's folder. curve: the
    training of an RL arm by step (reward, consult rates, ..), loss: that of a supervised one; means over seeds, None
    where a figure diverged.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    trained: bool
    start: str | None = None
    seeds: list[int]
    evaluations: list[str] = Field(default_factory=list)
    figures: dict[str, Estimate] = Field(default_factory=dict)
    curve: list[dict[str, float | None]] = Field(default_factory=list)
    loss: list[dict[str, float | None]] = Field(default_factory=list)
    rollouts: list[str] = Field(default_factory=list)


class ArmDifference(BaseModel):
    """Second minus first of one figure, paired: by seed where there are several, else by prompt.

    seeds: how many both arms share.
    """

    model_config = ConfigDict(extra="forbid")

    first: str
    second: str
    figure: str
    seeds: int
    difference: Estimate


class Claim(BaseModel):
    """One line of a checklist: what a paper says, what was measured, and what that comes to."""

    text: str
    source: str = ""
    measured: str = ""
    difference: Estimate = Field(default_factory=Estimate)
    verdict: str


class RunResults(BaseModel):
    """`results.json` of a run's folder: all that its page shows beside the evaluations and rollouts it names.

    headline: what came out, in a sentence. facts: what was run, by term. seconds: of each stage, in their order.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    headline: str
    facts: dict[str, Any] = Field(default_factory=dict)
    arms: list[ArmResult] = Field(default_factory=list)
    differences: list[ArmDifference] = Field(default_factory=list)
    claims: list[Claim] = Field(default_factory=list)
    seconds: dict[str, float] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)


def figures_over_seeds(seeds: Sequence[Mapping[str, Estimate]]) -> dict[str, Estimate]:
    """Every figure of an arm over the summaries of its seeds; the shares of what could not count are means."""
    if len(seeds) == 1:
        return dict(seeds[0])
    found = {}
    for name in dict.fromkeys(name for summary in seeds for name in summary):
        parts = [summary[name] for summary in seeds if name in summary]
        mean = over_seeds([part.value for part in parts])
        left_out = {
            share: sum(known) / len(known)
            for share in LEFT_OUT
            if (known := [value for part in parts if (value := getattr(part, share)) is not None])
        }
        if name not in NO_SHARES and mean.low is not None and mean.high is not None:
            left_out |= {"low": max(0.0, mean.low), "high": min(1.0, mean.high)}  # Student's interval knows no bounds
        found[name] = mean.model_copy(update=left_out)
    return found


def headline(arms: Sequence[ArmResult], differences: Sequence[ArmDifference]) -> str:
    """What came out, in a sentence: the arms whose H-avg differs from that of the arm they began with, or none."""
    starts = {arm.name: arm.start for arm in arms if arm.start is not None}
    compared = [d for d in differences if d.figure == "h_avg" and starts.get(d.second) == d.first]
    known = [d for d in compared if d.difference.value is not None and d.difference.low is not None]
    settled = [d for d in known if d.difference.low > 0 or (d.difference.high or 0) < 0]  # type: ignore[operator]
    if settled:
        return "; ".join(_said(d) for d in settled) + "."
    if known:
        return f"Nothing is settled: {'; '.join(_said(d) for d in known)}."
    best = max((arm for arm in arms if _h_avg(arm) is not None), key=lambda arm: _h_avg(arm) or 0.0, default=None)
    if best is None:
        return "No arm has an H-avg yet."
    return f"{best.name} has the highest H-avg, {100 * (_h_avg(best) or 0):.0f}; no arm is compared with another."


def _h_avg(arm: ArmResult) -> float | None:
    figure = arm.figures.get("h_avg")
    return None if figure is None else figure.value


def _said(found: ArmDifference) -> str:
    seeds = "one seed" if found.seeds == 1 else f"{found.seeds} seeds"
    return f"{in_words(found.second, found.first, found.difference)}, {seeds}"


def in_words(second: str, first: str, difference: Estimate, of: str = "H-avg") -> str:
    """How far `second` is from `first` in a figure, in percentage points: the size with its interval."""
    value, low, high = (100 * (bound or 0.0) for bound in (difference.value, difference.low, difference.high))
    low, high = (low, high) if value >= 0 else (-high, -low)
    points = f"{abs(value):.0f} point{'' if round(abs(value)) == 1 else 's'}"
    return f"{second} is {points} of {of} {'above' if value >= 0 else 'below'} {first} [{low:.0f}, {high:.0f}]"
