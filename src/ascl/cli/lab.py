"""`ascl lab`: the paper's dynamics on a small decoder, in minutes on a CPU."""

from pathlib import Path
from typing import Annotated

import typer

from ascl import ranges
from ascl.terminal import echo


def lab(
    out: Annotated[Path, typer.Option(help="The lab's folder; an earlier run in it goes on.")] = Path("runs/lab"),
    arms: Annotated[str, typer.Option(help="Comma-separated arms (default: all).")] = "",
    seeds: Annotated[int, typer.Option(min=1, max=16, help="How many seeds each arm is run with.")] = 3,
    steps: Annotated[int, typer.Option(min=1, max=ranges.STEPS, help="RL steps of an arm.")] = 120,
    processes: Annotated[
        int, typer.Option(min=1, max=ranges.PROCESSES, help="Arms trained at the same time, a core each.")
    ] = 2,
) -> None:
    """Train a small decoder where consulting matters, by every algorithm, and check the paper's claims on it."""
    import os

    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    import torch  # noqa: F401  (a missing extra is told before anything is written)

    from ascl.inputs import read_json
    from ascl.lab.arms import ARMS, LabSettings
    from ascl.lab.sweep import sweep

    settings = LabSettings()
    settings = settings.model_copy(update={"rl": settings.rl.model_copy(update={"max_steps": steps})})
    chosen = [name.strip() for name in arms.split(",")] if arms else list(ARMS)
    page = sweep(out, chosen, list(range(seeds)), settings, processes)
    for claim in read_json(out / "metrics.json")["claims"]:
        echo(f"{claim['verdict']:<15} {claim['text']}")
    echo(f"report: {page}")
