"""The stages of a run, one after the other, or several arms side by side in processes with one thread each."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from ascl import progress
from ascl.errors import InputError
from ascl.progress import console, progress_bar, waiting
from ascl.run.arms import World
from ascl.run.config import RunConfig
from ascl.run.stages import Stage, do

Finished = Callable[[Stage, float], None]


def do_all(
    left: Sequence[Stage], folder: Path, config: RunConfig, world: World, processes: int, finished: Finished
) -> None:
    """Do these stages; `finished` hears of each as it ends, with its seconds. Raises what a stage raises."""
    if processes > 1 and len(left) > 1:
        _side_by_side(left, folder, config, world, processes, finished)
        return
    for stage in left:
        console.rule(stage.name)
        finished(stage, _timed(stage, folder, config, world))


def _timed(stage: Stage, folder: Path, config: RunConfig, world: World) -> float:
    started = time.monotonic()
    with waiting(stage.name):
        do(stage, folder, config, world)
    return time.monotonic() - started


def _side_by_side(
    left: Sequence[Stage], folder: Path, config: RunConfig, world: World, processes: int, finished: Finished
) -> None:
    """Each (arm, seed) in a process, once the arm that it begins with is there.

    What a process says stands beside the bar of all.
    """
    units: dict[str, list[Stage]] = {}
    for stage in left:
        units.setdefault(stage.unit, []).append(stage)
    context = multiprocessing.get_context("spawn")
    said: SimpleQueue[str] = context.SimpleQueue()
    with (
        progress_bar("arms", len(units)) as show,
        ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(said,)) as pool,
    ):
        waits, ended, note = dict(units), 0, ""
        running: dict[Future[list[float]], str] = {}
        try:
            while waits or running:
                for unit in [u for u, of in waits.items() if _start(of[0], config) not in [*waits, *running.values()]]:
                    running[pool.submit(_work, waits.pop(unit), folder, config, world)] = unit
                done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                for future in done:
                    for stage, seconds in zip(units[running[future]], future.result(), strict=True):
                        finished(stage, seconds)
                    del running[future]
                    ended += 1
                while not said.empty():
                    note = said.get()
                show(ended, note)
        except BrokenProcessPool as error:
            unfinished = ", ".join(running.values())
            raise InputError(
                f"a process that trained arms was killed, or had no memory left ({unfinished}); run the same command "
                "again, with fewer --processes where memory is short"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start(stage: Stage, config: RunConfig) -> str | None:
    """The unit whose model a stage needs first."""
    arm = config.arms.get(stage.of)
    return f"{arm.start}-{stage.seed}" if arm is not None and arm.start is not None else None


class _Told:
    """A file whose lines go to the process that shows them, with the name of the work in front."""

    def __init__(self, said: "SimpleQueue[str]") -> None:
        self.said, self.unit = said, ""

    def write(self, text: str) -> None:
        if text.strip():
            self.said.put(f"{self.unit}: {text.strip()}")

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
    import torch

    torch.set_num_threads(1)


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _work(stages: Sequence[Stage], folder: Path, config: RunConfig, world: World) -> list[float]:
    """The stages of a unit, in a process of the pool; the seconds of each."""
    told: Any = progress.console.file
    told.unit = stages[0].unit
    return [_timed(stage, folder, config, world) for stage in stages]
