"""The figures of a page: what they are called, and how a number is written, the same everywhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ascl.evals.metrics import LEFT_OUT
from ascl.judges.calibrate import WARN_ABOVE
from ascl.report.markup import Markup, element
from ascl.stats import Estimate


@dataclass(frozen=True)
class Metric:
    """One figure. `better` is 'up', 'down' or '' where neither is.

    percent: a share, shown in percent; other values have `digits` decimals.
    """

    key: str
    label: str
    group: str
    better: str = ""
    percent: bool = True
    digits: int = 0


METRICS = (
    Metric("h_avg", "H-avg", "Outcome", "up"),
    Metric("separation", "Separation", "Outcome", "up"),
    Metric("safety", "Safety", "Outcome", "up"),
    Metric("over_refusal", "Over-refusal", "Outcome", "down"),
    Metric("reasoning", "Reasoning", "Outcome", "up"),
    Metric("score", "Score", "Outcome"),
    Metric("consult_harmful", "Harmful", "Consult rate", "up"),
    Metric("consult_sensitive", "Sensitive", "Consult rate"),
    Metric("selectivity", "Selectivity", "Consult rate", "up"),
    Metric("needless_consults", "Needless", "Consult rate", "down"),
    Metric("consulted", "Consults", "Consultation"),
    Metric("score_consulted", "Score with", "Consultation"),
    Metric("score_direct", "Score without", "Consultation"),
    Metric("adherence", "Adherence", "Follows the book", "up"),
    Metric("release", "Release", "Follows the book", "up"),
    Metric("stability", "Stability", "Follows the book", "up"),
    Metric("rule_use", "Rule use", "Follows the book", "up"),
    Metric("release_harmful", "Release, harmful", "Follows the book"),
    Metric("no_answer", "No answer", "Neither", "down"),
    Metric("truncated", "Truncated", "Neither", "down"),
    Metric("empty", "Empty", "Neither", "down"),
    Metric("malformed", "Malformed", "Neither", "down"),
    Metric("turn_limit", "Turn limit", "Neither", "down"),
    Metric("unparsed", "Unparsed", "Neither", "down"),
    Metric("unjudged", "Unjudged", "Neither", "down"),
    Metric("off_topic", "Off-topic", "Neither", "down"),
    Metric("length", "Cut", "Trouble", "down"),
    Metric("partly_refused", "Partly refused", "Trouble"),
    Metric("attempts_parsed", "Parsed", "Trouble", "up"),
    Metric("faults", "Faults", "Trouble", "down"),
    Metric("hallucinated", "Halluc.", "Trouble", "down"),
    Metric("tokens", "Tokens", "Cost", percent=False),
    Metric("turns", "Turns", "Cost", percent=False, digits=2),
)
OUTCOMES = METRICS[:5]  # H-avg, separation and the three axes
BY_KEY = {metric.key: metric for metric in METRICS}


def columns(figures: Iterable[Mapping[str, Estimate]]) -> list[Metric]:
    """The figures that are there, in the order of METRICS; those it does not know come last, by their own name."""
    there = dict.fromkeys(key for mapping in figures for key in mapping)
    unknown = [Metric(key, key, "Other") for key in there if key not in BY_KEY]
    return [*(metric for metric in METRICS if metric.key in there), *unknown]


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage, or a dash."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def signed(value: float | None) -> str:
    """A difference of shares in percentage points, or a dash."""
    return "–" if value is None else f"{100 * value:+.1f}".replace("-", "−")


def duration(seconds: float | None) -> str:
    """A time in its two largest units, or a dash."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        whole = round(seconds)
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def spread(estimate: Estimate) -> str:
    """A share with its interval, in words: `98.9 % (98.1 to 99.5, n 300, 12.5 % unjudged)`."""
    interval = f"{percent(estimate.low)} to {percent(estimate.high)}, n {estimate.n}"
    shares = "".join(f", {percent(share)} % {name}" for name, share in _left_out(estimate))
    return f"{percent(estimate.value)} % ({interval}{shares})"


def shares_left_out(estimate: Estimate) -> list[Markup]:
    """The shares of answers that are missing, unjudged or unparsed, where there are any; a warning above 1 %."""
    return [
        element(
            "small",
            f"{percent(share)} {name}",
            class_="warn" if name != "no answer" and share > WARN_ABOVE else None,
        )
        for name, share in _left_out(estimate)
    ]


def _left_out(estimate: Estimate) -> list[tuple[str, float]]:
    return [(name.replace("_", " "), share) for name in LEFT_OUT if (share := getattr(estimate, name))]


def cell(estimate: Estimate | None, metric: Metric, *, best: bool = False, seeds: int = 1) -> Markup:
    """One number with its interval below it, and below that the shares of what could not count in it."""
    estimate = estimate or Estimate()
    left_out = shares_left_out(estimate)
    if estimate.value is None:
        return element("td", element("span", "–", class_="none"), *left_out, class_=metric.key)

    def show(value: float) -> str:
        return percent(value) if metric.percent else f"{value:,.{metric.digits}f}"

    interval = None
    if estimate.low is not None and estimate.high is not None:
        interval = element("small", f"{show(estimate.low)}–{show(estimate.high)}")
    value = element("strong" if best else "span", show(estimate.value))
    mark = element("span", "best", class_="best") if best else None
    hint = f"{estimate.n} seeds" if seeds > 1 else f"n = {estimate.n:,}" if estimate.n else None
    return element("td", mark, value, interval, *left_out, class_=metric.key, title=hint)
