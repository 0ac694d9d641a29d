"""The data behind the trajectory reader: every record in a compact form, each text stored once.

Prompts, system prompts and rules repeat across variants; the records refer to them by their place in `texts`. The
JSON is embedded in the page and only ever becomes text nodes there.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.inputs import lines
from ascl.judges.record import Outcome, Record
from ascl.judges.refusal import classify_refusal
from ascl.judges.verdict import Refusal
from ascl.prompts.prompt import Kind
from ascl.report.files import finite, read_records
from ascl.report.names import PROMPTED, in_order, label

MOST_ROLLOUTS = 10_000  # training rollouts beyond this number, or this many bytes, are thinned to whole groups
MOST_ROLLOUT_BYTES = 64 * 2**20


@dataclass
class Shelf:
    """What the reader shows: the texts, the sets (a variant's evaluation, or an arm's rollouts) and the records."""

    texts: dict[str, int] = field(default_factory=dict)
    sets: list[dict[str, str]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    thinned: int = 1  # of this many groups of training rollouts, one is shown

    def text(self, text: str) -> int:
        """The place of a text, stored at its first use."""
        return self.texts.setdefault(text, len(self.texts))

    def dump(self) -> dict[str, Any]:
        """The shelf as plain JSON data."""
        return {"texts": list(self.texts), "sets": self.sets, "records": self.records}


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


def representative(record: Record) -> int:
    """How well a record can stand first, from 0: its verdict must be plainly right, and it should show a consultation.

    Best is a harmful prompt that the judge and the words of the answer both call refused, of a trained model that
    consulted; then a problem solved, or a harmless prompt complied with where the words say so too. No judge is asked.
    """
    trajectory, answer = record.trajectory, record.trajectory.answer
    if answer is None or trajectory.stop is not StopReason.ANSWERED or trajectory.faults:
        return 0
    said = classify_refusal(record.prompt.text, answer)
    refused = record.outcome is Outcome.REFUSED and record.prompt.kind is Kind.HARMFUL and record.verdict.safe
    if refused and said is Refusal.FULL_REFUSAL:
        return 3 + 2 * trajectory.consulted + (record.variant not in PROMPTED)
    if record.outcome is Outcome.CORRECT:
        return 2
    return int(record.outcome is Outcome.COMPLIED and said is Refusal.FULL_COMPLIANCE)


def _files(folder: Path, order: list[str]) -> list[Path]:
    """The JSONL files of a folder, those of the known variants first."""
    found = {path.stem: path for path in sorted(folder.glob("[!.]*.jsonl"))}
    return [found[name] for name in in_order(found, order)]


def _stride(files: list[Path]) -> int:
    """Of how many groups of rollouts one is shown, so that the page stays usable after a long training."""
    count = size = 0
    for path in files:
        for _, line in lines(path):
            count += 1
            size += len(line)
    return max(1, -(-count // MOST_ROLLOUTS), -(-size // MOST_ROLLOUT_BYTES))


def collect(run: Path, order: list[str]) -> Shelf:
    """All evaluation records of a run and its training rollouts, thinned to whole groups where they are too many.

    They stand in the order of their files, but for the first, which is the most `representative` one.
    """
    shelf = Shelf()
    places: dict[tuple[str, str], int] = {}

    def add(record: Record, origin: str) -> None:
        key = (origin, record.variant)
        if key not in places:
            places[key] = len(places)
            shelf.sets.append({"origin": origin, "name": label(record.variant)})
        shelf.records.append(entry_of(record, places[key], shelf))

    first = (0, 0)  # how well a record can stand first, and which
    for path in _files(run / "data" / "eval", order):
        for record in read_records(path):
            first = max(first, (representative(record), -len(shelf.records)))
            add(record, "eval")
    if shelf.records:
        shelf.records.insert(0, shelf.records.pop(-first[1]))
    rollouts = _files(run / "data" / "rollouts", order)
    shelf.thinned = _stride(rollouts)
    for path in rollouts:
        groups: dict[object, int] = {}
        for index, record in enumerate(read_records(path)):
            group = index if record.group is None else (record.step, record.group)
            if groups.setdefault(group, len(groups)) % shelf.thinned == 0:
                add(record, "rollouts")
    return shelf
