"""The terminal tables of figures: the trade-off at the end of a run, and the cells they share with `ascl eval`."""

import json
from collections.abc import Iterable
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ascl.cli.printable import printable
from ascl.evals.metrics import LEFT_OUT, WARN_ABOVE, Estimate

COLUMNS = {
    "safety": "safety",
    "over_refusal": "over-\nrefusal",
    "reasoning": "reasoning",
    "h_avg": "H-avg",
    "consult_harmful": "consult\nharmful",
    "selectivity": "selec-\ntivity",
}


def print_table(folder: Path) -> None:
    """Print the figures of a run folder's metrics.json, in percent with 95 % intervals, and its warnings."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    table = Table(title="percent, and the 95 % interval", box=SIMPLE_HEAD, padding=(0, 1, 1, 1))
    table.add_column("variant", no_wrap=True)
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    figures = {
        name: {key: Estimate.model_validate(one) for key, one in of.items()} for name, of in metrics["variants"].items()
    }
    for name, of in figures.items():
        table.add_row(name, *(cell(of[key]) for key in COLUMNS))
    console = Console()
    console.print(table)
    print_left_out((one for of in figures.values() for one in of.values()), (metrics.get("judge") or {}).get("name"))
    for warning in metrics.get("warnings", []):
        console.print(printable(f"warning: {warning}"), highlight=False, markup=False, soft_wrap=True)


def cell(figure: Estimate | None, scale: float = 100) -> str:
    """A figure, its interval below it, and below that the shares of what could not count in it."""
    if figure is None:
        return "-"
    lines = ["-"]
    if figure.value is not None and figure.low is not None and figure.high is not None:
        lines = [f"{scale * figure.value:.0f}", f"{scale * figure.low:.0f} to {scale * figure.high:.0f}"]
    for what in LEFT_OUT:
        if share := getattr(figure, what):
            text = f"{100 * share:.1f} %\n{what.replace('_', ' ')}"
            lines.append(f"[bold yellow]{text}[/]" if what != "no_answer" and share > WARN_ABOVE else text)
    return "\n".join(lines)


def print_left_out(figures: Iterable[Estimate], judge: str | None) -> None:
    """The judge, and the largest shares of answers that could not be read."""
    listed = list(figures)
    said = [
        f"{what} {100 * max((getattr(one, what) or 0.0 for one in listed), default=0.0):.1f} %"
        for what in ("unjudged", "unparsed")
    ]
    line = f"judge: {judge or 'not named'}; of the answers to any figure at most {', '.join(said)}"
    Console().print(printable(line), highlight=False, markup=False, soft_wrap=True)
