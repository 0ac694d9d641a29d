"""Progress with time left: a bar on a terminal, lines in a log, and a sign of life where nothing else is said."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment

from ascl.terminal import printable


class Screen(Console):
    """A console for text that nobody vouches for: nothing in it is markup, and all of it is `printable`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, markup=False, emoji=False, highlight=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """See `Console`; here all text goes by, that of tables and progress bars too."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)

    def say(self, line: str) -> None:
        """Print a text as it stands: it is not wrapped."""
        self.print(line, soft_wrap=True)


console = Screen(stderr=True)

SILENCE = 15.0  # seconds without a line; then one says what is being worked on
_spoken = 0.0  # when the last line was printed
_working: list[Callable[[], str] | None] = []  # what is being worked on, the innermost last; None shows itself


def tell(line: str) -> None:
    """Show a line, part of which may be a server's or a model's own words: nothing in it is markup or control."""
    console.say(" ".join(line.split()))


class Report(Protocol):
    """What is told how far the work is: the units done, and a few words to show beside them."""

    def __call__(self, done: int, note: str = "") -> None:
        """Show it."""


def silent(done: int, note: str = "") -> None:
    """The `Report` that shows nothing."""


@contextmanager
def waiting(title: str) -> Iterator[None]:
    """Work of unknown length: while nothing else is said, a line every SILENCE seconds tells that it goes on."""
    started = time.monotonic()
    with _at_work(lambda: f"{title}, {time.monotonic() - started:.0f} s"):
        yield


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Report]:
    """A bar that is told how many of `total` units are done. In a log: a line for every tenth, and after a SILENCE."""
    if not console.is_terminal:
        lines = _Lines(title, total)
        with _at_work(lines.line):
            yield lines.update
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
    with _at_work(None), Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total, note="")

        def update(done: int, note: str = "") -> None:
            bar.update(task, completed=done, note=note)

        yield update


class _Lines:
    """The progress of one piece of work as plain lines."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self.started, self.first, self.done, self.note = time.monotonic(), -1, 0, ""
        self.shown = -1  # the tenth of the last line

    def update(self, done: int, note: str = "") -> None:
        """Hear how far the work is, and say so where a tenth is passed."""
        self.first = done if self.first < 0 else self.first
        self.done, self.note = done, note
        tenth = 10 * done // max(self.total, 1)
        if tenth != self.shown:
            self.shown = tenth
            _say(self.line())

    def line(self) -> str:
        """How far the work is now."""
        elapsed, did = time.monotonic() - self.started, self.done - self.first
        left = f", about {elapsed / did * (self.total - self.done):.0f} s left" if self.first >= 0 and did > 0 else ""
        told = f", {self.note}" if self.note else ""
        return f"{self.title} {self.done}/{self.total}, {elapsed:.0f} s{left}{told}"


def _say(line: str) -> None:
    global _spoken
    _spoken = time.monotonic()
    console.say(line)


@contextmanager
def _at_work(line: Callable[[], str] | None) -> Iterator[None]:
    """While this lasts, `line` is what is said after a SILENCE. Of several processes only the first one speaks."""
    global _spoken
    if _working or os.environ.get("RANK", "0") != "0":
        _working.append(line)
        try:
            yield
        finally:
            _working.remove(line)
        return
    _spoken, over = time.monotonic(), threading.Event()
    _working.append(line)
    speaker = threading.Thread(target=_speak_up, args=(over,), daemon=True)
    speaker.start()
    try:
        yield
    finally:
        over.set()
        speaker.join()
        _working.remove(line)


def _speak_up(over: threading.Event) -> None:
    while not over.wait(max(_spoken + SILENCE - time.monotonic(), 0.05)):
        innermost = _working[-1] if _working else None
        if innermost is not None and time.monotonic() - _spoken >= SILENCE:
            _say(innermost())
