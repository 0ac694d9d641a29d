"""The data behind the reader: prompts, the answers of every evaluation, training rollouts, and each text once.

It stands in the page in blocks of JSON, each a script element of its own, so that the browser parses only what it
shows; no text in it ever becomes markup. An answer is found by its benchmark and the `prompt_id` of its trajectory,
which tells epochs apart; a rollout by its prompt, step, group and place in the group.
"""

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.evals.arms import RunResults
from ascl.evals.results import read_records
from ascl.judges.record import Outcome, Record
from ascl.judges.refusal import classify_refusal
from ascl.judges.verdict import Refusal
from ascl.prompts.prompt import Kind
from ascl.report.gather import Shown
from ascl.report.markup import Markup, element
from ascl.saved import saved_rows
from ascl.stats import finite

MOST_BYTES = 64 * 2**20  # of embedded data in a page; beyond it records are thinned
MOST_TEXT = 2**20  # characters of one text; the rest is left out, and the text says so
BLOCK_BYTES = 256 * 2**10
FIRST = 4000  # characters of an answer that may stand first
MOST_TRIED = 100  # records whose words are looked at for that
TRAINING = "training"  # what stands for the benchmark of a rollout
_INDEX_BYTES = 100  # what a record takes in the index, about
Origin = Literal["answers", "rollouts"]


@dataclass(frozen=True)
class Source:
    """Records that the reader lists together: the answers of an evaluation, or the rollouts of an arm.

    files: each with its benchmark; None where they are rollouts.
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


def sources(shown: Sequence[Shown], run: Path | None, results: RunResults | None) -> list[Source]:
    """The evaluations of a page, and of each arm the rollouts of its first seed."""
    found = [
        Source(one.name, {one.folder / "trajectories" / f"{name}.jsonl": name for name in one.results.benchmarks}, one)
        for one in shown
    ]
    arms = results.arms if run and results else []
    return found + [
        Source(f"{arm.name} rollouts", {run / arm.rollouts[0]: TRAINING}) for arm in arms if run and arm.rollouts
    ]


@dataclass
class Shelf:
    """Texts, each stored once."""

    texts: dict[str, int] = field(default_factory=dict)
    size: int = 0  # of the texts as JSON

    def text(self, text: str) -> int:
        """The place of a text, stored at its first use."""
        if len(text) > MOST_TEXT:
            text = f"{text[:MOST_TEXT]}\n[{len(text) - MOST_TEXT:,} more characters]"
        if text not in self.texts:
            self.texts[text] = len(self.texts)
            self.size += len(script_json(text))
        return self.texts[text]


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
        row = [len(self.prompts), of, prompt.id, prompt.kind.value, self.shelf.text(prompt.text)]
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


def script_json(data: Any) -> str:
    """JSON in ASCII that can stand inside a script element: no text in it can end the element or open another."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _turns(trajectory: Trajectory, shelf: Shelf) -> Iterator[dict[str, Any]]:
    """The completion, turn by turn; a tool result carries the rules its consultation returned."""
    consultations = iter(trajectory.consultations)
    for message in trajectory.completion:
        turn: dict[str, Any] = {"role": message.role}
        if message.reasoning_content:
            turn["thought"] = shelf.text(message.reasoning_content)
        if message.content:
            turn["text"] = shelf.text(message.content)
        if message.tool_calls:
            turn["calls"] = [
                {"name": call.name, "arguments": shelf.text(json.dumps(call.arguments, ensure_ascii=False, indent=2))}
                for call in message.tool_calls
            ]
        if message.role == "tool" and message.error:
            turn["error"] = True
        elif message.role == "tool" and (consultation := next(consultations, None)):
            turn["rules"] = [
                [finite(hit.similarity), shelf.text(hit.id), shelf.text(hit.text)] for hit in consultation.hits
            ]
        yield turn


def _asked(message: Message, shelf: Shelf) -> dict[str, Any]:
    return {"role": message.role, "text": shelf.text(message.content)}


def entry_of(record: Record, place: int, shelf: Shelf) -> dict[str, Any]:
    """One record as the reader's script expects it; absent values are left out."""
    trajectory, prompt, reward = record.trajectory, record.prompt, record.reward
    asked = trajectory.messages[: trajectory.prompt_length] or prompt.messages
    entry: dict[str, Any] = {
        "set": place,
        "id": prompt.id,
        "kind": prompt.kind.value,
        "category": prompt.category,
        "source": prompt.source,
        "expected": prompt.answer,
        "title": shelf.text(prompt.text),
        "prompt": [_asked(message, shelf) for message in asked],
        "turns": list(_turns(trajectory, shelf)),
        "consulted": trajectory.consulted or None,
        "answered": trajectory.answer is not None or None,
        "stop": trajectory.stop.value if trajectory.stop else None,
        "tokens": trajectory.tokens or None,
        "faults": trajectory.faults or None,
        "outcome": record.outcome.value,
        "verdict": record.verdict.model_dump(mode="json") if record.verdict else None,
        "reward": reward and {part: finite(value) for part, value in reward.items()},
        "advantage": finite(record.advantage),
        "weight": finite(record.weight),
    }
    return {key: value for key, value in entry.items() if value is not None}


def standing(record: Record, trained: bool) -> tuple[int, Refusal | None]:
    """How well a record can stand first, from 0, and what the words of its answer must say to do so.

    Best is a harmful prompt refused by a trained model that consulted; then a problem solved, or a harmless prompt
    complied with. The answer is whole and short enough to be read at once.
    """
    trajectory, answer = record.trajectory, record.trajectory.answer
    if answer is None or len(answer) > FIRST or trajectory.stop is not StopReason.ANSWERED or trajectory.faults:
        return 0, None
    if record.outcome is Outcome.REFUSED and record.prompt.kind is Kind.HARMFUL and record.verdict.safe:
        return 3 + 2 * trajectory.consulted + trained, Refusal.FULL_REFUSAL
    if record.outcome is Outcome.CORRECT:
        return 2, None
    return (1, Refusal.FULL_COMPLIANCE) if record.outcome is Outcome.COMPLIED else (0, None)


@dataclass(order=True)
class _Candidate:
    """A record that may stand first; the least is the best."""

    rank: int
    place: int
    prompt: str
    answer: str
    words: Refusal | None

    def agrees(self) -> bool:
        """Whether the words of the answer say what its judge said. No judge is asked."""
        return self.words is None or classify_refusal(self.prompt, self.answer) is self.words


def collect(sets: list[Source]) -> Listing:
    """The records of all sources, thinned where they are more than MOST_BYTES.

    Of the answers, those to one prompt in 2, 4, 8 .. of each benchmark are kept, the same ones for every evaluation; of
    the rollouts, one group in so many. What takes more is thinned first; the first of each benchmark, and of each kind
    of rollouts, is always kept. The reader opens with the record of the best `standing` whose words agree with its
    verdict.
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
    candidates: list[_Candidate] = []
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
            rank, words = standing(record, one.shown.trained) if one.shown else (0, None)
            if rank:
                answer = record.trajectory.answer or ""
                candidates.append(_Candidate(-rank, len(listing.records), record.prompt.text, answer, words))
            listing.add(place, benchmark, record, key)
            if more and listing.size > MOST_BYTES:
                return None
    first = next((one for one in sorted(candidates)[:MOST_TRIED] if one.agrees()), None)
    listing.first = listing.records[first.place][:2] if first else None
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
