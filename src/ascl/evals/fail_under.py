"""Bars for CI: `h_avg=0.8` says below which value of a figure an evaluation has failed."""

import math
from collections.abc import Mapping, Sequence

from ascl.errors import InputError
from ascl.evals.books import FIGURES as BOOK_FIGURES
from ascl.evals.results import Results
from ascl.evals.scores import summary

FIGURES = (*summary({}), *BOOK_FIGURES)
LESS_IS_BETTER = (
    "over_refusal", "consult_sensitive", "needless_consults", "faults", "hallucinated", "no_answer", "truncated",
    "tokens", "turns", "release_harmful",
)  # fmt: skip


def bars_of(texts: Sequence[str]) -> dict[str, float]:
    """The bars by figure. Raises InputError for a text that is none."""
    found, better = {}, [name for name in FIGURES if name not in LESS_IS_BETTER]
    for text in texts:
        figure, equals, value = text.partition("=")
        try:
            bar = float(value)
        except ValueError:
            bar = math.nan
        if not equals or not math.isfinite(bar):
            raise InputError(f"--fail-under {text}: write FIGURE=VALUE, e.g. h_avg=0.8 (shares in 0 to 1)")
        if figure not in FIGURES:
            raise InputError(f"--fail-under {figure}: there is no such figure; use one of {', '.join(better)}")
        if figure in LESS_IS_BETTER:
            raise InputError(f"--fail-under {text}: less is better there; use one of {', '.join(better)}")
        found[figure] = bar
    return found


def below(found: Mapping[str, Results], bars: Mapping[str, float]) -> list[str]:
    """A line for every bar that is missed, a figure without a value among them."""
    missed = []
    for name, results in found.items():
        for figure, bar in bars.items():
            there = results.summary.get(figure)
            value = there.value if there else None
            if value is None or value < bar:
                missed.append(
                    f"{name}: {figure} is {'not there' if value is None else f'{value:.3f}'}, the bar is {bar}"
                )
    return missed
