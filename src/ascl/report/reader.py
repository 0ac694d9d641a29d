"""The data behind the trajectory reader: every record in a compact form, each text stored once.

Prompts, system prompts and rules repeat across variants; the records refer to them by their place in `texts`. The
JSON is embedded in the page and only ever becomes text nodes there.
"""

import json
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.judges.record import Outcome, Record
from ascl.judges.refusal import classify_refusal
from ascl.judges.verdict import Refusal
from ascl.prompts.prompt import Kind
from ascl.report.files import read_records
from ascl.report.names import PROMPTED, in_order, label
from ascl.stats import finite

MOST_BYTES = 64 * 2**20  # of embedded data in a page; beyond it records are thinned
MOST_TEXT = 2**20  # characters of one text; the rest is left out, and the text says so
FIRST = 4000  # characters of an answer that may stand first
MOST_TRIED = 100  # records whose words are looked at for that
Origin = Literal["eval", "rollouts"]


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
    """What the reader shows: the sets (a variant's evaluation, or an arm's rollouts) and the records, as JSON.

    strides: of so many prompts of a kind, or groups of rollouts, one is shown. shown, there: records.
    """

    strides: dict[Origin, int]
    shelf: Shelf = field(default_factory=Shelf)
    sets: list[dict[str, str]] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    size: int = 0  # of the records
    shown: Counter[Origin] = field(default_factory=Counter)
    there: Counter[Origin] = field(default_factory=Counter)

    def pieces(self) -> Iterator[str]:
        """The data as JSON, piece by piece."""
        yield f'{{"sets":{script_json(self.sets)},"texts":['
        for place, text in enumerate(self.shelf.texts):
            yield f"{',' if place else ''}{script_json(text)}"
        yield '],"records":['
        for place, entry in enumerate(self.records):
            yield f"{',' if place else ''}{entry}"
        yield "]}"


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
    trajectory, prompt = record.trajectory, record.prompt
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
        "reward": record.reward,
        "step": record.step,
        "group": record.group,
        "advantage": record.advantage,
        "weight": record.weight,
    }
    return {key: value for key, value in entry.items() if value is not None}


def standing(record: Record) -> tuple[int, Refusal | None]:
    """How well a record can stand first, from 0, and what the words of its answer must say to do so.

    Best is a harmful prompt refused by a trained model that consulted; then a problem solved, or a harmless prompt
    complied with. The answer is whole and short enough to be read at once.
    """
    trajectory, answer = record.trajectory, record.trajectory.answer
    if answer is None or len(answer) > FIRST or trajectory.stop is not StopReason.ANSWERED or trajectory.faults:
        return 0, None
    if record.outcome is Outcome.REFUSED and record.prompt.kind is Kind.HARMFUL and record.verdict.safe:
        return 3 + 2 * trajectory.consulted + (record.variant not in PROMPTED), Refusal.FULL_REFUSAL
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


def _files(folder: Path, order: list[str]) -> list[Path]:
    """The JSONL files of a folder, those of the known variants first."""
    found = {path.stem: path for path in sorted(folder.glob("[!.]*.jsonl"))}
    return [found[name] for name in in_order(found, order)]


def collect(run: Path, order: list[str]) -> Listing:
    """The evaluation records of a run and its training rollouts, thinned where they are more than MOST_BYTES.

    Of the evaluation, one prompt in 2, 4, 8 .. of each kind is kept, the same ones for every variant; of the rollouts,
    one group in so many. What takes more is thinned first; the first of each kind is always kept. Records stand in the
    order of their files, but for the first, which is the one of the best `standing` whose words agree with its verdict.
    """
    files: dict[Origin, list[Path]] = {"eval": _files(run / "data" / "eval", order)}
    files["rollouts"] = _files(run / "data" / "rollouts", order)
    sizes = {origin: sum(path.stat().st_size for path in paths) for origin, paths in files.items()}
    strides: dict[Origin, int] = dict.fromkeys(files, 1)

    def taken(origin: Origin) -> float:
        return sizes[origin] / strides[origin]

    while True:
        # A record takes more in its file than in the page, where texts are stored once: not four times as much.
        if sum(map(taken, strides)) <= 4 * MOST_BYTES and (listing := _filled(files, strides)):
            return listing
        strides[max(strides, key=taken)] *= 2


def _filled(files: dict[Origin, list[Path]], strides: dict[Origin, int]) -> Listing | None:
    """The records at these strides; None where they are too many, and fewer can be shown."""
    listing = Listing(dict(strides))
    places: dict[tuple[Origin, str], int] = {}
    candidates: list[_Candidate] = []
    prompts: dict[Hashable, int] = {}
    counts: Counter[Hashable] = Counter()
    more = False  # than the first of each kind
    for origin, path in ((origin, path) for origin, paths in files.items() for path in paths):
        units = prompts if origin == "eval" else {}
        for index, record in enumerate(read_records(path)):
            unit: Hashable = record.prompt.id
            if origin == "rollouts":
                unit = index if record.group is None else (record.step, record.group)
            if unit not in units:
                kind = (record.prompt.kind, None if origin == "eval" else path)
                units[unit] = counts[kind]
                counts[kind] += 1
            listing.there[origin] += 1
            if units[unit] % strides[origin]:
                continue
            more |= units[unit] > 0
            key = (origin, record.variant)
            if key not in places:
                places[key] = len(places)
                listing.sets.append({"origin": origin, "name": label(record.variant)})
            rank, words = standing(record) if origin == "eval" else (0, None)
            if rank:
                answer = record.trajectory.answer or ""
                candidates.append(_Candidate(-rank, len(listing.records), record.prompt.text, answer, words))
            entry = script_json(entry_of(record, places[key], listing.shelf))
            listing.shown[origin] += 1
            listing.records.append(entry)
            listing.size += len(entry)
            if more and listing.size + listing.shelf.size > MOST_BYTES:
                return None
    first = next((one for one in sorted(candidates)[:MOST_TRIED] if one.agrees()), None)
    if first:
        listing.records.insert(0, listing.records.pop(first.place))
    return listing
