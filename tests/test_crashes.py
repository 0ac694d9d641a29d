"""Killed at every point where something gets onto the disk, and run again: the outcome of a run left alone.

`ASCL_EVERY_CASE=1` tries every point instead of a sample.
"""

import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import forked
import pytest
from commands import Desk, desk, done, finished_run

from ascl.files import write_json
from ascl.inputs import read_json

POINTS = 10_000 if os.environ.get("ASCL_EVERY_CASE") else 3
CALLS = ("fsync", "replace", "rename", "unlink", "mkdir")


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("desk")) as found:
        yield found


def crash(folder: Path, point: int, *command: str) -> None:
    """Run a command and be killed before (an even point) or after a call; how many calls there were goes to a file."""
    calls = 0

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(what: Any, *others: Any, **more: Any) -> Any:
            nonlocal calls
            place = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else str(what)
            if not place.startswith(str(folder)) and "dir_fd" not in more:
                return real(what, *others, **more)
            calls += 1
            if point == 2 * calls:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return real(what, *others, **more)
            finally:
                if point == 2 * calls + 1:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    for name in CALLS:
        setattr(os, name, watched(getattr(os, name)))
    try:
        forked.ascl(*command)
    finally:
        (folder.parent / "calls").write_text(str(calls))


def build(at: Desk) -> list[str]:
    return at.build("tried", "--concurrency", "1")


def evaluate(at: Desk) -> list[str]:
    return at.evaluate("tried", "--judge", "offline", "--concurrency", "1")


def evaluate_with_a_guard(at: Desk) -> list[str]:
    return at.evaluate("tried", *at.guard, "--concurrency", "1")


def rejudge(at: Desk) -> list[str]:
    done(*at.evaluate("tried"))
    return at.rejudge("tried")


def run(at: Desk) -> list[str]:
    """A run whose trainings are done, and nothing else."""
    command = finished_run(at.folder / "tried", str(at.folder / "model"))
    manifest = read_json(at.folder / "tried" / "manifest.json")
    for stage in ("eval pure-0", "data bc-0"):
        del manifest["stages"][stage]
    write_json(at.folder / "tried" / "manifest.json", manifest)
    shutil.rmtree(at.folder / "tried" / "evals" / "pure-0")
    for name in ("data/bc-0/rows.jsonl", "results.json", "report.html"):
        (at.folder / "tried" / name).unlink()
    return command


def outcome(folder: Path) -> dict[str, Any]:
    """What a folder holds, without dates and without the order in which a guard replied."""
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            name = str(path.relative_to(folder))
            found[name] = path.read_bytes()
            if name.endswith("judge_replies.jsonl"):
                found[name] = sorted(found[name].splitlines())
            elif name == "results.json":
                found[name] = read_json(path) | {"seconds": None}
            elif name.endswith(("README.md", "evaluation.json", "manifest.json", "report.html")):
                found[name] = "there"
    return found


@pytest.mark.parametrize("command", [build, evaluate, evaluate_with_a_guard, rejudge, run])
def test_a_kill_at_any_point_costs_nothing(at: Desk, command: Callable[[Desk], list[str]], tiny_model: Path) -> None:
    if not (at.folder / "model").exists():
        shutil.copytree(tiny_model, at.folder / "model")
    tried, begun, log = at.folder / "tried", at.folder / "begun", at.folder / f"{command.__name__}.log"
    for folder in (tried, begun):
        shutil.rmtree(folder, ignore_errors=True)
    given = command(at)
    if tried.exists():
        shutil.copytree(tried, begun)
    assert forked.finish(log, crash, tried, 0, *given) == 0, log.read_text()
    alone, calls = outcome(tried), int((at.folder / "calls").read_text())
    assert calls > 5
    points, killed = range(2, 2 * calls + 2), 0
    for point in sorted(random.Random(command.__name__).sample(points, min(POINTS, len(points)))):
        shutil.rmtree(tried)
        if begun.exists():
            shutil.copytree(begun, tried)
        ended = forked.finish(
            log, crash, tried, point, *given
        )  # 0: a fast machine wrote a guard's replies in fewer parts
        assert ended in (-signal.SIGKILL, 0), (point, log.read_text())
        killed += ended == -signal.SIGKILL
        done(*given)
        assert outcome(tried) == alone, point
    assert killed
