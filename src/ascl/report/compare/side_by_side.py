"""The data behind the side-by-side reader: prompts, answers of every evaluation, and each text once.

It stands in the page in blocks of JSON, each a script element of its own, so that the browser parses only what it
shows. An answer is found by its benchmark and the `prompt_id` of its trajectory, which tells epochs apart.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ascl.evals.results import read_records
from ascl.judges.record import Record
from ascl.report.compare.gather import Compared
from ascl.report.markup import Markup, join
from ascl.report.reader import MOST_BYTES, Shelf, entry_of, script_json

BLOCK_BYTES = 256 * 2**10
_INDEX_BYTES = 100  # what an answer takes in the index, about


@dataclass
class SideBySide:
    """What the reader shows. The columns of `records` are in the order of `entries`."""

    evaluations: list[str]
    benchmarks: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    prompts: dict[tuple[int, str], list[Any]] = field(default_factory=dict)  # [benchmark, id, kind, title]
    records: list[tuple[int, int, int, int]] = field(default_factory=list)  # evaluation, prompt, outcome, consulted
    entries: list[str] = field(default_factory=list)  # JSON
    shelf: Shelf = field(default_factory=Shelf)
    thinned: int = 1  # of this many prompts of a benchmark, one is shown
    there: int = 0  # answers, those that are not shown among them
    entries_size: int = 0

    @property
    def size(self) -> int:
        """Of the data, in bytes."""
        return self.entries_size + self.shelf.size

    def add(self, evaluation: int, benchmark: str, record: Record) -> None:
        """Take in one judged answer."""
        entry = script_json(entry_of(record, evaluation, self.shelf))
        self.entries_size += len(entry) + _INDEX_BYTES
        place, prompt = _place(self.benchmarks, benchmark), record.prompt
        title = self.shelf.text(prompt.text)
        row = self.prompts.setdefault(
            (place, record.trajectory.prompt_id),
            [len(self.prompts), place, record.trajectory.prompt_id, prompt.kind.value, title],
        )
        outcome = _place(self.outcomes, record.outcome.value)
        self.records.append((evaluation, row[0], outcome, int(record.trajectory.consulted)))
        self.entries.append(entry)

    def markup(self) -> Markup:
        """The script elements with the data."""
        columns = zip(*self.records, strict=True) if self.records else ((), (), (), ())
        index = {
            "evaluations": self.evaluations,
            "benchmarks": self.benchmarks,
            "outcomes": self.outcomes,
            "prompts": [row[1:] for row in self.prompts.values()],
            "records": dict(zip(("evaluation", "prompt", "outcome", "consulted"), map(list, columns), strict=True)),
        }
        return join(
            Markup(f'<script id="index" type="application/json">{script_json(index)}</script>\n'),
            *_blocks("entries", self.entries),
            *_blocks("texts", (script_json(text) for text in self.shelf.texts)),
        )


def _place(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


def _blocks(name: str, values: Iterable[str]) -> Iterable[Markup]:
    """JSON values in script elements of about BLOCK_BYTES; `data-start` is the place of a block's first value."""
    block: list[str] = []
    start = size = 0
    for value in values:
        if block and size + len(value) > BLOCK_BYTES:
            yield _block(name, start, block)
            start, size, block = start + len(block), 0, []
        block.append(value)
        size += len(value)
    if block:
        yield _block(name, start, block)


def _block(name: str, start: int, values: Sequence[str]) -> Markup:
    return Markup(
        f'<script class="{name}" type="application/json" data-start="{start}">[{",".join(values)}]</script>\n'
    )


def collect(compared: Sequence[Compared]) -> SideBySide:
    """All answers of all evaluations, or those to one prompt in 2, 4, 8 .. of each benchmark where they are too many.

    The same prompts are kept for every evaluation, and the first of each benchmark always.
    """
    prompts = max((result.prompts for one in compared for result in one.results.benchmarks.values()), default=0)
    stride = 1
    while True:
        most = MOST_BYTES if stride < prompts else math.inf  # fewer than the first of each benchmark there can't be
        side = _filled(compared, stride, most)
        if side.size <= most:
            return side
        stride *= 2


def _filled(compared: Sequence[Compared], stride: int, most: float) -> SideBySide:
    """The answers to one prompt in `stride`, given up above `most` bytes."""
    side = SideBySide([one.name for one in compared], thinned=stride)
    met: dict[tuple[str, str], int] = {}  # a benchmark's prompt -> its place among those met in it
    counts: Counter[str] = Counter()
    for place, one in enumerate(compared):
        for benchmark in one.results.benchmarks:
            for record in read_records(one.folder, one.results.judge, benchmark):
                side.there += 1
                key = benchmark, record.prompt.id
                if key not in met:
                    met[key] = counts[benchmark]
                    counts[benchmark] += 1
                if met[key] % stride == 0:
                    side.add(place, benchmark, record)
                    if side.size > most:
                        return side
    return side
