"""The terminal table at the end of a run: the trade-off, variant by variant."""

import json
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

COLUMNS = {
    "safety": "safety",
    "over_refusal": "over-\nrefusal",
    "reasoning": "reasoning",
    "h_avg": "H-avg",
    "consult_harmful": "consult\nharmful",
    "selectivity": "selectivity",
}


def print_table(folder: Path) -> None:
    """Print the figures of a run folder's metrics.json, in percent with 95 % intervals."""
    variants = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["variants"]
    table = Table(title="percent, and the 95 % interval", box=SIMPLE_HEAD, padding=(0, 1, 1, 1))
    table.add_column("variant", no_wrap=True)
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for name, figures in variants.items():
        table.add_row(name, *(_cell(figures[key]) for key in COLUMNS))
    Console().print(table)


def _cell(figure: dict[str, float | None]) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None or low is None or high is None:
        return "-"
    return f"{100 * value:.0f}\n{100 * low:.0f} to {100 * high:.0f}"
