"""Processes of their own that start at once: forked from a server that has imported the heavy packages.

A fresh `python` spends most of its time on importing torch and TRL. What is forked here is a real process: it can be
killed at any point, and its memory is its own. Its hash seed is the server's, not the test's.
"""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["ascl.cli.main", "ascl.run.run", "ascl.train.sft", "ascl.train.rl"])


def start(log: Path, work: Callable[..., object], *arguments: object, without: tuple[str, ...] = ()) -> BaseProcess:
    """Call `work` (a function of a module) in a process; what it prints is appended to `log`.

    without: names of environment variables that it must not have.
    """
    environment = {name: value for name, value in os.environ.items() if name not in without}
    process = _SERVER.Process(target=_run, args=(log, environment, work, arguments))
    process.start()
    return process


def finish(log: Path, work: Callable[..., object], *arguments: object) -> int:
    """Call `work` in a process, wait for its end, and give its exit code (-9 where it was killed)."""
    process = start(log, work, *arguments)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def ascl(*arguments: str) -> None:
    """The command line."""
    from ascl.cli.main import app

    app(list(arguments))


def _run(log: Path, environment: dict[str, str], work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    work(*arguments)
