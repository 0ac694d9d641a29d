"""What a run prints: its stages, the trade-off variant by variant, and how to talk to the best of its models.

The cells of figures are those of `ascl eval` as well.
"""

import shlex
import shutil
import sys
from collections.abc import Container, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ascl.evals.metrics import LEFT_OUT, WARN_ABOVE
from ascl.inputs import read_json
from ascl.progress import Screen
from ascl.stats import Estimate
from ascl.terminal import echo

if TYPE_CHECKING:
    from ascl.config import RunConfig

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
    metrics = read_json(folder / "metrics.json")
    table = Table(title="percent, and the 95 % interval", box=SIMPLE_HEAD, padding=(0, 1, 1, 1))
    table.add_column("variant", no_wrap=True)
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    figures = {
        name: {key: Estimate.model_validate(one) for key, one in of.items()} for name, of in metrics["variants"].items()
    }
    for name, of in figures.items():
        table.add_row(name, *(cell(of[key]) for key in COLUMNS))
    console = Screen()
    console.print(table)
    print_left_out((one for of in figures.values() for one in of.values()), (metrics.get("judge") or {}).get("name"))
    for warning in metrics.get("warnings", []):
        console.say(f"warning: {warning}")


def print_stages(stages: Iterable[str], done: Container[str]) -> None:
    """Print each stage and whether it is done."""
    for name in stages:
        echo(f"{name:<16}{'done' if name in done else 'to do'}")


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
    echo(f"talk to {name} ({reached}):\n{shlex.join(command)}")


def cell(figure: Estimate | None, scale: float = 100) -> str | Text:
    """A figure, its interval below it, and below that the shares of what could not count in it."""
    if figure is None:
        return "-"
    lines: list[str | Text] = ["-"]
    if figure.value is not None and figure.low is not None and figure.high is not None:
        lines = [f"{scale * figure.value:.0f}", f"{scale * figure.low:.0f} to {scale * figure.high:.0f}"]
    for what in LEFT_OUT:
        if share := getattr(figure, what):
            text = f"{100 * share:.1f} %\n{what.replace('_', ' ')}"
            lines.append(Text(text, "bold yellow" if what != "no_answer" and share > WARN_ABOVE else ""))
    return Text("\n").join(map(Text.assemble, lines))


def print_left_out(figures: Iterable[Estimate], judge: str | None) -> None:
    """The judge, and the largest shares of answers that could not be read."""
    listed = list(figures)
    said = [
        f"{what} {100 * max((getattr(one, what) or 0.0 for one in listed), default=0.0):.1f} %"
        for what in ("unjudged", "unparsed")
    ]
    line = f"judge: {judge or 'not named'}; of the answers to any figure at most {', '.join(said)}"
    Screen().say(line)
