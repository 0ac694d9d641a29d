"""What a run prints: its stages, the trade-off variant by variant, and how to talk to the best of its models."""

import json
import shlex
import shutil
import sys
from collections.abc import Container, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ascl.config import RunConfig

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


def print_stages(stages: Iterable[str], done: Container[str]) -> None:
    """Print each stage and whether it is done."""
    for name in stages:
        print(f"{name:<16}{'done' if name in done else 'to do'}")


def print_best(config: "RunConfig", folder: Path) -> None:
    """Print the command that talks to the run's best checkpoint, as it can be copied."""
    from ascl.pipeline import best_checkpoint

    name, h_avg = best_checkpoint(config, folder)
    # As it was called, where a shell would not find it: `make quickstart` calls .venv/bin/ascl.
    called = sys.argv[0] if Path(sys.argv[0]).name == "ascl" and shutil.which("ascl") is None else "ascl"
    command = [called, "chat", "--model", str(folder / "checkpoints" / name)]
    if config.rules.source != "default":
        command += ["--rules", config.rules.source]
    if config.rules.embedding_model is not None:
        command += ["--embedding-model", config.rules.embedding_model]
    command += ["--top-k", str(config.rules.top_k)]
    reached = "no model has an H-avg" if h_avg is None else f"the highest H-avg of its models, {100 * h_avg:.0f}"
    print(f"talk to {name} ({reached}):\n{shlex.join(command)}")


def _cell(figure: dict[str, float | None]) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None or low is None or high is None:
        return "-"
    return f"{100 * value:.0f}\n{100 * low:.0f} to {100 * high:.0f}"
