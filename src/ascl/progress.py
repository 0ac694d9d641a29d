"""Progress with time left: a bar on a terminal, a line for every tenth in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)


def tell(line: str) -> None:
    """Show a line, part of which may be a server's or a model's own words: nothing in it is markup or control."""
    console.print("".join(filter(str.isprintable, line)), markup=False, highlight=False, soft_wrap=True)


class Report(Protocol):
    """What is told how far the work is: the units done, and a few words to show beside them."""

    def __call__(self, done: int, note: str = "") -> None:
        """Show it."""


def silent(done: int, note: str = "") -> None:
    """The `Report` that shows nothing."""


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Report]:
    """A bar that is told how many of `total` units are done."""
    if not console.is_terminal:
        yield _lines(title, total)
        return
    columns = (
        TextColumn("{task.description:<12}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total, note="")

        def update(done: int, note: str = "") -> None:
            bar.update(task, completed=done, note=note)

        yield update


def _lines(title: str, total: int) -> Report:
    started, first, shown = time.monotonic(), -1, -1

    def update(done: int, note: str = "") -> None:
        nonlocal first, shown
        first = done if first < 0 else first
        tenth = 10 * done // max(total, 1)
        if tenth == shown:
            return
        shown = tenth
        elapsed = time.monotonic() - started
        left = f", about {elapsed / (done - first) * (total - done):.0f} s left" if done > first else ""
        told = f", {note}" if note else ""
        console.print(f"{title} {done}/{total}, {elapsed:.0f} s{left}{told}", highlight=False, markup=False)

    return update
