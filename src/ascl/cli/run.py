"""`ascl run`, `ascl config`, `ascl init` and `ascl lab`: configurations, and the runs they describe."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ascl import ranges
from ascl.cli.entry import finite
from ascl.cli.report import show_run
from ascl.errors import InputError
from ascl.terminal import echo

if TYPE_CHECKING:
    from ascl.evals.arms import RunResults
    from ascl.run.config import RunConfig

config_app = typer.Typer(no_args_is_help=True, help="Show and check configurations of runs.")

Config = Annotated[str, typer.Argument(help="A YAML configuration, or the name of a shipped one, e.g. quickstart.")]


def run(
    config: Config,
    out: Annotated[Path | None, typer.Option(help="Run folder (default: runs/NAME of the configuration).")] = None,
    model: Annotated[str | None, typer.Option(help="Take this model instead of the configuration's.")] = None,
    seeds: Annotated[str, typer.Option(help="Take these seeds, e.g. 0,1,2; those that are there are not redone.")] = "",
    smoke: Annotated[bool, typer.Option(help="A cut-down run of a few minutes.")] = False,
    fresh: Annotated[bool, typer.Option(help="Put an earlier run in this folder aside and start again.")] = False,
    processes: Annotated[
        int, typer.Option(min=1, max=ranges.PROCESSES, help="Arms trained side by side, with one thread each.")
    ] = 1,
    check: Annotated[
        bool, typer.Option("--check", help="Look whether all is there that the run needs, print its stages, and stop.")
    ] = False,
) -> None:
    """Carry a configured run through: variants, arms, evaluations, page. Run it again to resume."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from ascl.run.config import find_config, load_config

    path = find_config(config)
    settings = load_config(path)
    changes: dict[str, object] = {"model": model} if model is not None else {}
    changes |= {"seeds": _seeds(seeds)} if seeds else {}
    settings = settings.model_copy(update=changes)
    folder = out or Path("runs") / (path.stem + ("-smoke" if smoke else ""))
    settings = settings.smoke() if smoke else settings
    from ascl.run.run import open_run
    from ascl.run.run import run as carry_out

    with put_aside(folder) if fresh else nullcontext():
        if check:
            state = open_run(settings, folder)
            for stage in state.stages:
                echo(f"{stage.name:<20}{'done' if state.is_done(stage) else 'to do'}")
            return
        results = carry_out(settings, folder, processes=processes)
    show_run(results)
    echo(f"report: {folder / 'report.html'}")
    _print_best(results, settings, folder)


def _seeds(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and int(part[:12]) <= ranges.SEED for part in parts):
        raise InputError(f"--seeds {text}: write whole numbers up to {ranges.SEED} with commas, e.g. 0,1,2")
    if len(set(parts)) < len(parts):
        raise InputError(f"--seeds {text}: one is there twice")
    return [int(part) for part in parts]


def _print_best(results: "RunResults", config: "RunConfig", folder: Path) -> None:
    """Print the command that talks to the trained model with the highest H-avg, as it can be copied."""
    trained = [arm for arm in results.arms if arm.trained]
    if not trained:
        return

    h_avgs = {arm.name: arm.figures["h_avg"].value for arm in trained if "h_avg" in arm.figures}
    known = {name: value for name, value in h_avgs.items() if value is not None}
    best = max(trained, key=lambda arm: known.get(arm.name, -1.0))
    h_avg = known.get(best.name)
    # As it was called, where a shell would not find it: `make quickstart` calls .venv/bin/ascl.
    called = sys.argv[0] if Path(sys.argv[0]).name == "ascl" and shutil.which("ascl") is None else "ascl"
    command = [called, "chat", "--model", str(folder / "arms" / f"{best.name}-{best.seeds[0]}")]
    if config.rules.source != "default":
        command += ["--rules", config.rules.source]
    if config.rules.embedding_model is not None:
        command += ["--embedding-model", config.rules.embedding_model]
    command += ["--top-k", str(config.rules.top_k)]
    said = "no model has an H-avg" if h_avg is None else f"the highest H-avg of the trained models, {100 * h_avg:.0f}"
    echo(f"talk to {best.name} ({said}):\n{shlex.join(command)}")


@contextmanager
def put_aside(folder: Path) -> Iterator[None]:
    """Rename an earlier run folder to NAME.old1 (or the next free number); back again if no new run came to be."""
    if not folder.exists():
        yield
        return
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old{number}")).exists():
        number += 1
    from ascl.folders import working_in

    with working_in(folder):  # no other run is in it
        folder.rename(aside)
    try:
        yield
    finally:
        if not folder.exists():
            aside.rename(folder)


def init(
    folder: Annotated[Path, typer.Argument(help="Where the files go.")] = Path("."),
    config: Annotated[str, typer.Option(help="The shipped configuration to start from.")] = "quickstart",
) -> None:
    """Start a project: a commented configuration and a rule-book template to edit. Nothing there is replaced."""
    from ascl.files import write_text
    from ascl.inputs import read_text
    from ascl.rules.load import TEMPLATE
    from ascl.run.config import find_config

    files = {"ascl.yaml": read_text(find_config(config)), "rules.yaml": read_text(TEMPLATE)}
    own = json.dumps(str(folder / "rules.yaml"), ensure_ascii=False)  # JSON is YAML
    note = f"# Your own rules: `source: {own}`. The shipped demonstrations speak of the shipped rules, so clone then"
    note += "\n# what a model says to them (arms.bc.data.model), or rows of your own (arms.bc.data.rows).\n"
    files["ascl.yaml"] = files["ascl.yaml"].replace("\nrules:", f"\n{note}rules:", 1)
    if there := [name for name in files if (folder / name).exists()]:
        raise InputError(f"{folder / there[0]}: is there already; name another folder")
    for name, text in files.items():
        write_text(folder / name, text)
        echo(f"{folder / name}")
    echo(f"edit them, then: ascl config check {folder / 'ascl.yaml'}")


@config_app.command("show")
def show(
    config: Annotated[str | None, typer.Argument(help="A configuration; without one, all defaults.")] = None,
) -> None:
    """Print a whole configuration, every default filled in, with what each part means."""
    from ascl.run.commented import commented
    from ascl.run.config import RunConfig, find_config, load_config

    echo(commented(load_config(find_config(config)) if config else RunConfig(model="embedded")).rstrip())


@config_app.command("check")
def check(
    config: Config,
    measure: Annotated[
        bool, typer.Option(help="Also run a step of each RL arm, and say how long all would take.")
    ] = False,
) -> None:
    """Say what a run would do and cost, without doing it: stages, arms, seeds, tokens, memory."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from ascl.run.config import find_config, load_config
    from ascl.run.costs import costs_of

    for line in costs_of(load_config(find_config(config)), measure):
        echo(line)


def plan(
    config: Config,
    arm: Annotated[str, typer.Option(help="The RL arm.")] = "ifpo",
    processes: Annotated[int, typer.Option(min=1, max=ranges.PROCESSES, help="Training processes.")] = 1,
    sharded: Annotated[bool, typer.Option(help="Weights split over the processes (FSDP).")] = False,
    device_gib: Annotated[
        float, typer.Option(min=0, max=1000, callback=finite, help="GiB of a device, for a colocated vLLM's share.")
    ] = 0,
    measure: Annotated[bool, typer.Option(help="Also run a step here and time it.")] = False,
) -> None:
    """What an RL arm will need: memory of a process by formula, and the time of a measured step."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from ascl.run.config import find_config, load_config
    from ascl.run.costs import measure_arm, memory_of
    from ascl.run.world import ConfiguredWorld

    settings = load_config(find_config(config))
    memory = memory_of(arm, settings, processes, sharded, device_gib)
    for part, gib in memory.model_dump().items():
        if gib:
            echo(f"{part.replace('_', ' '):<12}{gib:8.2f} GiB")
    echo(f"{'peak':<12}{memory.total:8.2f} GiB of a process, by formula")
    if measure:
        found = measure_arm(arm, ConfiguredWorld(settings))
        said = f"{found.seconds:.1f} s a step, {found.tokens:.0f} tokens a rollout, peak {found.peak_gib:.2f} GiB"
        echo(f"measured here: {said}")


def lab(
    out: Annotated[
        Path | None,
        typer.Option(help="The lab's folder; an earlier run in it goes on (default: runs/lab, or runs/lab_WORLD)."),
    ] = None,
    world: Annotated[str, typer.Option(help="What cloning shows: default, high_start or consulted_sums.")] = "default",
    arms: Annotated[str, typer.Option(help="Comma-separated arms (default: all).")] = "",
    seeds: Annotated[int, typer.Option(min=1, max=64, help="How many seeds each arm is run with.")] = 3,
    steps: Annotated[int, typer.Option(min=1, max=ranges.STEPS, help="RL steps of an arm.")] = 120,
    processes: Annotated[
        int, typer.Option(min=1, max=ranges.PROCESSES, help="Arms trained at the same time, a core each.")
    ] = 2,
    fresh: Annotated[bool, typer.Option("--fresh", help="Put an earlier folder aside and begin again.")] = False,
) -> None:
    """Train a small decoder where consulting matters, by every algorithm, and check the paper's claims on it."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    import torch  # noqa: F401  (a missing extra is told before anything is written)

    from ascl.lab.lab import lab_config, run_lab

    chosen = [name.strip() for name in arms.split(",")] if arms else []
    config = lab_config(chosen, range(seeds), steps, world)
    out = out or Path("runs/lab" if world == "default" else f"runs/lab_{world}")
    with put_aside(out) if fresh else nullcontext():
        results = run_lab(config, out, processes)
    for claim in results.claims:
        echo(f"{claim.verdict:<15} {claim.text}")
    echo(results.headline)
    echo(f"report: {out / 'report.html'}")
