"""Progress with time left: a bar on a terminal, a line for every tenth in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar that is told how many of `total` units are done."""
    if not console.is_terminal:
        yield _lines(title, total)
        return
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


def _lines(title: str, total: int) -> Callable[[int], None]:
    started, first, shown = time.monotonic(), -1, -1

    def update(done: int) -> None:
        nonlocal first, shown
        first = done if first < 0 else first
        tenth = 10 * done // max(total, 1)
        if tenth == shown:
            return
        shown = tenth
        elapsed = time.monotonic() - started
        left = f", about {elapsed / (done - first) * (total - done):.0f} s left" if done > first else ""
        console.print(f"{title} {done}/{total}, {elapsed:.0f} s{left}", highlight=False)

    return update
