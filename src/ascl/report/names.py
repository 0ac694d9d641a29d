"""How variants and metrics are called and coloured, the same everywhere on the page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_LABELS = {"ascl_zs": "ASCL-ZS", "rag": "RAG", "bc": "BC", "grpo": "GRPO", "ifpo": "IFPO"}
_ORDER = ("pure", "short", "long", "rag", "ascl_zs", "bc", "grpo", "ifpo")
_SPARE = 8  # colours kept for arms the page does not know by name

PROMPTED = frozenset({"pure", "short", "long", "rag", "ascl_zs"})  # variants of the untrained model


@dataclass(frozen=True)
class Metric:
    """One column of the headline table. `better` is 'up', 'down' or '' where neither is.

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
    Metric("safety", "Safety", "Outcome", "up"),
    Metric("over_refusal", "Over-refusal", "Outcome", "down"),
    Metric("reasoning", "Reasoning", "Outcome", "up"),
    Metric("consult_harmful", "Harmful", "Consult rate by kind"),
    Metric("consult_sensitive", "Sensitive", "Consult rate by kind"),
    Metric("consult_plain", "Plain", "Consult rate by kind"),
    Metric("consult_reasoning", "Reasoning", "Consult rate by kind"),
    Metric("selectivity", "Selectivity", "Consult rate by kind", "up"),
    Metric("attempts_parsed", "Parsed", "Trouble and cost", "up"),
    Metric("faults", "Faults", "Trouble and cost", "down"),
    Metric("hallucinated", "Halluc.", "Trouble and cost", "down"),
    Metric("truncated", "No answer", "Trouble and cost", "down"),
    Metric("unjudged", "Unjudged", "Trouble and cost", "down"),
    Metric("off_topic", "Off-topic", "Trouble and cost", "down"),
    Metric("unparsed", "Unparsed", "Trouble and cost", "down"),
    Metric("tokens", "Tokens", "Trouble and cost", "", percent=False),
)


def label(variant: str) -> str:
    """The name of a variant as a paper would print it."""
    return _LABELS.get(variant, variant.capitalize() if variant in _ORDER else variant)


def colours(names: Iterable[str]) -> dict[str, str]:
    """A CSS class for each variant: the well-known ones keep theirs, others share the spare colours in turn."""
    unknown = [name for name in dict.fromkeys(names) if name not in _ORDER]
    known = {name: f"c{index}" for index, name in enumerate(_ORDER)}
    return known | {name: f"c{len(_ORDER) + index % _SPARE}" for index, name in enumerate(unknown)}


def in_order(names: Iterable[str], first: Sequence[str]) -> list[str]:
    """The names once each: those of `first` in its order, then the others as they come."""
    wanted = list(dict.fromkeys(names))
    return [name for name in first if name in wanted] + [name for name in wanted if name not in first]


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage, or a dash."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


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
