"""The data behind the reader: prompts, the answers of every evaluation, training rollouts, and each text once.

It stands in the page in blocks of JSON, each a script element of its own, so that the browser parses only what it
shows; no text in it ever becomes markup. An answer is found by its benchmark and the `prompt_id` of its trajectory,
which tells epochs apart; a rollout by its prompt, step, group and place in the group.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ascl.evals.arms import ArmResult
from ascl.evals.results import read_records
from ascl.judges.record import Record
from ascl.report.entries import Shelf, entry_of, script_json
from ascl.report.gather import Shown
from ascl.report.markup import Markup, element
from ascl.report.opening import Opening
from ascl.saved import saved_rows

MOST_BYTES = 64 * 2**20  # of embedded data in a page; beyond it records are thinned
BLOCK_BYTES = 256 * 2**10
TRAINING = "training"  # what stands for the benchmark of a rollout
_INDEX_BYTES = 100  # what a record takes in the index, about
Origin = Literal["answers", "rollouts"]


@dataclass(frozen=True)
class Source:
    """Records that the reader lists together: the answers of an evaluation, or the rollouts of an arm.

    files: each with its benchmark. shown: whose answers they are; None where they are rollouts.
    """

    name: str
    files: dict[Path, str]
    shown: Shown | None = None

    @property
    def origin(self) -> Origin:
        """Which of the two it is."""
        return "answers" if self.shown else "rollouts"

    @property
    def size(self) -> int:
        """Of the files, in bytes."""
        return sum(path.stat().st_size for path in self.files if path.is_file())

    def records(self) -> Iterator[tuple[str, Record]]:
        """Every record with its benchmark. Raises InputError naming the file that is missing or damaged."""
        for path, benchmark in self.files.items():
            of = read_records(self.shown.folder, self.shown.results.judge, benchmark) if self.shown else None
            for record in of or saved_rows(path, Record):
                yield benchmark, record


def sources(shown: Sequence[Shown], arms: Sequence[ArmResult] = ()) -> list[Source]:
    """The evaluations of a page, and of each arm the rollouts of its first seed."""
    found = [
        Source(one.name, {one.folder / "trajectories" / f"{name}.jsonl": name for name in one.results.benchmarks}, one)
        for one in shown
    ]
    return found + [Source(f"{arm.name} rollouts", {Path(arm.rollouts[0]): TRAINING}) for arm in arms if arm.rollouts]


@dataclass
class Listing:
    """What the reader shows. The columns of `records` are in the order of `entries`.

    strides: of so many prompts of a benchmark, or groups of rollouts, one is shown. shown, there: records. first: the
    set and prompt that the reader opens with.
    """

    sets: list[Source]
    strides: dict[Origin, int]
    benchmarks: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    prompts: dict[Hashable, list[Any]] = field(default_factory=dict)  # place, benchmark, id, kind, title, step, group
    records: list[tuple[int, int, int, int]] = field(default_factory=list)  # set, prompt, outcome, consulted
    entries: list[str] = field(default_factory=list)  # JSON
    shelf: Shelf = field(default_factory=Shelf)
    shown: Counter[Origin] = field(default_factory=Counter)
    there: Counter[Origin] = field(default_factory=Counter)
    entries_size: int = 0
    first: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Of the data, in bytes."""
        return self.entries_size + self.shelf.size

    def add(self, place: int, benchmark: str, record: Record, key: Hashable) -> None:
        """Take in one record of the set at `place`; `key` is its own among those of the set."""
        entry = script_json(entry_of(record, place, self.shelf))
        self.entries_size += len(entry) + _INDEX_BYTES
        of, prompt = _place(self.benchmarks, benchmark), record.prompt
        row: list[Any] = [len(self.prompts), of, prompt.id, prompt.kind.value, self.shelf.text(prompt.text)]
        if self.sets[place].origin == "answers":
            row[2] = record.trajectory.prompt_id
        else:
            row += [record.step, record.group]
        row = self.prompts.setdefault((of, key), row)
        outcome = _place(self.outcomes, record.outcome.value)
        self.records.append((place, row[0], outcome, int(record.trajectory.consulted)))
        self.entries.append(entry)
        self.shown[self.sets[place].origin] += 1

    def pieces(self) -> Iterator[str]:
        """The script elements with the data, piece by piece."""
        columns = zip(*self.records, strict=True) if self.records else ((), (), (), ())
        index = {
            "sets": [{"name": one.name, "origin": one.origin} for one in self.sets],
            "benchmarks": self.benchmarks,
            "outcomes": self.outcomes,
            "prompts": [row[1:] for row in self.prompts.values()],
            "records": dict(zip(("set", "prompt", "outcome", "consulted"), map(list, columns), strict=True)),
            "first": self.first,
        }
        yield f'<script id="index" type="application/json">{script_json(index)}</script>\n'
        yield from _blocks("entries", self.entries)
        yield from _blocks("texts", (script_json(text) for text in self.shelf.texts))


def _place(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


def _blocks(name: str, values: Iterable[str]) -> Iterator[str]:
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


def _block(name: str, start: int, values: Sequence[str]) -> str:
    return f'<script class="{name}" type="application/json" data-start="{start}">[{",".join(values)}]</script>\n'


def collect(sets: list[Source]) -> Listing:
    """The records of all sources, thinned where they are more than MOST_BYTES.

    Of the answers, those to one prompt in 2, 4, 8 .. of each benchmark are kept, the same ones for every evaluation; of
    the rollouts, one group in so many. What takes more is thinned first; the first of each benchmark, and of each kind
    of rollouts, is always kept. It opens with what `Opening` finds.
    """
    sizes: Counter[Origin] = Counter()
    for one in sets:
        sizes[one.origin] += one.size
    strides: dict[Origin, int] = {"answers": 1, "rollouts": 1}

    def taken(origin: Origin) -> float:
        return sizes[origin] / strides[origin]

    while True:
        # A record takes more in its file than in the page, where texts are stored once: not four times as much.
        if sum(map(taken, strides)) <= 4 * MOST_BYTES and (listing := _filled(sets, strides)):
            return listing
        strides[max(strides, key=taken)] *= 2


def _filled(sets: list[Source], strides: dict[Origin, int]) -> Listing | None:
    """The records at these strides; None where they are too many, and fewer can be shown."""
    listing = Listing(sets, dict(strides))
    opening = Opening()
    units: dict[Hashable, int] = {}  # a prompt of a benchmark, or a group -> its place among those of its kind
    counts: Counter[Hashable] = Counter()
    keys: Counter[Hashable] = Counter()  # rollouts of a prompt in a group
    more = False  # than the first of each kind
    for place, one in enumerate(sets):
        for number, (benchmark, record) in enumerate(one.records()):
            unit: Hashable = (benchmark, record.prompt.id)
            kind: Hashable = benchmark
            key: Hashable = record.trajectory.prompt_id
            if one.origin == "rollouts":
                group = (number,) if record.group is None else (record.step, record.group)
                unit, kind = (place, *group), (place, record.prompt.kind)
                key = (record.prompt.id, *group)
                keys[place, key] += 1
                key = (key, keys[place, key])
            if unit not in units:
                units[unit] = counts[kind]
                counts[kind] += 1
            listing.there[one.origin] += 1
            if units[unit] % strides[one.origin]:
                continue
            more |= units[unit] > 0
            if one.shown:
                opening.offer(len(listing.records), record, one.shown.trained)
            listing.add(place, benchmark, record, key)
            if more and listing.size > MOST_BYTES:
                return None
    first = opening.place()
    listing.first = None if first is None else listing.records[first][:2]
    return listing


def thinned(listing: Listing) -> Markup | None:
    """What the reader leaves out, said in full: a thinned list must not look complete."""
    units: dict[Origin, tuple[str, str]] = {
        "answers": ("answers", "those to one prompt of each benchmark"),
        "rollouts": ("training rollouts", "those of one group"),
    }
    notes = [
        f"{listing.shown[origin]:,} of {listing.there[origin]:,} {records} are listed here, {which} "
        f"in {listing.strides[origin]}."
        for origin, (records, which) in units.items()
        if listing.shown[origin] < listing.there[origin]
    ]
    if not notes:
        return None
    return element("p", " ".join(["Too many for one page:", *notes, "The figures count all."]), class_="note thinned")
