"""`ascl lab`: every arm with every seed, in a few processes, resumable; then the figures over seeds and the page."""

import multiprocessing
import os
import statistics
import threading
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from datetime import UTC, datetime
from multiprocessing import connection
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from ascl import progress
from ascl.errors import InputError
from ascl.files import write_json, write_jsonl
from ascl.folders import working_in
from ascl.inputs import read_json, read_jsonl
from ascl.lab.arms import ARMS, LabSettings, Measured, result
from ascl.lab.claims import checklist
from ascl.progress import progress_bar
from ascl.saved import read_saved
from ascl.stats import over_seeds

SEPARATION = "harmful − sensitive"  # also the title of its column


def sweep(folder: Path, arms: list[str], seeds: list[int], settings: LabSettings, processes: int) -> Path:
    """Run what is not there yet and return the report's path.

    Every (arm, seed) leaves a file, so a run that was stopped goes on. Raises InputError on an unknown arm or where the
    folder holds a lab of another size.
    """
    arms = list(dict.fromkeys(arms))
    for name in arms:
        if name not in ARMS:
            raise InputError(f"--arms {name}: unknown, use some of {', '.join(ARMS)}")
    with working_in(folder):
        return _sweep(folder, arms, seeds, settings, processes)


def _sweep(folder: Path, arms: list[str], seeds: list[int], settings: LabSettings, processes: int) -> Path:
    saved = folder / "settings.json"
    wanted = settings.model_dump(mode="json")
    if saved.exists() and read_json(saved) != wanted:
        raise InputError(f"{folder}: holds a lab of other settings ({saved}); name another --out")
    write_json(saved, wanted)
    starts = list(dict.fromkeys(ARMS[name].start for name in arms))
    clones = [(name, seed) for seed in seeds for name in starts]
    _run(folder, clones, settings, processes, "cloning")
    _run(folder, [(name, seed) for seed in seeds for name in arms], settings, processes, "arms")
    return report(folder, [*starts, *arms], seeds)


def _run(folder: Path, jobs: list[tuple[str, int]], settings: LabSettings, processes: int, title: str) -> None:
    """The jobs in so many processes, each with one thread. What a process says stands beside the bar of all jobs."""
    context = multiprocessing.get_context("spawn")
    said: SimpleQueue[str] = context.SimpleQueue()
    with (
        progress_bar(title, len(jobs)) as show,
        ProcessPoolExecutor(
            min(processes, len(jobs)), mp_context=context, initializer=_begin, initargs=(said,)
        ) as pool,
    ):
        running = {pool.submit(_work, folder, name, settings, seed) for name, seed in jobs}
        try:
            note = ""
            while running:
                ended, running = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                for future in ended:
                    future.result()
                while not said.empty():
                    note = said.get()
                show(len(jobs) - len(running), note)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Told:
    """A file whose lines go to the process that shows them, with the seed of the work in front."""

    def __init__(self, said: "SimpleQueue[str]") -> None:
        self.said, self.seed = said, 0

    def write(self, text: str) -> None:
        if text.strip():
            self.said.put(f"seed {self.seed}: {text.strip()}")

    def flush(self) -> None:
        pass


def _begin(said: "SimpleQueue[str]") -> None:
    """A process of the pool: one thread, and its progress goes to `said` instead of the terminal.

    It ends with the process that began it: that one holds the lock on the folder.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    progress.console.quiet = True  # for those who hold this one
    progress.console = progress.Screen(file=_Told(said), force_terminal=False)


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _work(folder: Path, name: str, settings: LabSettings, seed: int) -> None:
    """One job, in a process of the pool."""
    told: Any = progress.console.file
    told.seed = seed
    result(folder, name, settings, seed)


def report(folder: Path, names: list[str], seeds: list[int]) -> Path:
    """Write `metrics.json`, `manifest.json` and `report.html` of what was run, in the form of a run folder."""
    from ascl.pipeline import PACKAGES, machine, package_version
    from ascl.report.page import build_report

    by_seed = [
        {name: read_saved(folder / f"seed{seed}" / f"{name}.json", Measured).model_dump() for name in names}
        for seed in seeds
    ]
    variants = {name: _figures([results[name] for results in by_seed]) for name in names}
    for name in names:
        if len({len(results[name]["curve"]) for results in by_seed}) > 1:
            raise InputError(
                f"{folder}: the training of {name} has not as many steps with every seed; name another --out"
            )
    curves = {name: _mean_curve([results[name]["curve"] for results in by_seed]) for name in names}
    write_json(
        folder / "metrics.json",
        {
            "variants": variants,
            "training": {name: curve for name, curve in curves.items() if curve},
            "claims": [claim.model_dump() for claim in checklist(by_seed)],
            "judge": {"name": "lab (exact)", "calibration": {"agreement": 1.0}},
        },
    )
    times = {name: {"seconds": sum(r[name]["seconds"]["all"] for r in by_seed)} for name in names}
    write_json(
        folder / "manifest.json",
        {
            "name": f"ascl lab, {len(seeds)} seeds",
            "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "machine": machine(),
            "versions": {package: package_version(package) for package in PACKAGES},
            "model": "Qwen3 decoder from random weights",
            "stages": times,
        },
    )
    for name in names:
        rows = read_jsonl(folder / f"seed{seeds[0]}" / f"{name}.eval.jsonl")
        write_jsonl(folder / "data" / "eval" / f"{name}.jsonl", [row for _, row in rows])
    return build_report(folder)


def _figures(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Every figure of an arm over its seeds, and how much oftener it consults on harmful than on sensitive requests."""
    measured = [dict(r["measured"]) for r in results]
    for figures in measured:
        figures[SEPARATION] = figures["consult_harmful"] - figures["consult_sensitive"]
    found = {metric: over_seeds([figures[metric] for figures in measured]) for metric in measured[0]}
    for metric, interval in found.items():
        if (
            interval.low is not None
            and interval.high is not None
            and metric not in ("selectivity", SEPARATION, "tokens")
        ):
            interval.low, interval.high = max(0.0, interval.low), min(1.0, interval.high)  # shares
    return {metric: interval.model_dump() for metric, interval in found.items()}


def _mean_curve(curves: list[list[dict[str, float]]]) -> list[dict[str, float]]:
    """The mean over seeds, step by step."""
    return [
        {key: statistics.fmean([row[key] for row in rows if key in row]) for key in rows[0]}
        for rows in zip(*curves, strict=True)
    ]
