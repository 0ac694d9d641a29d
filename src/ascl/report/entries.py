"""One record in the compact form that the reader's script expects, each text stored once and referred to by place."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ascl.chat.messages import Message, Trajectory
from ascl.judges.record import Record
from ascl.stats import finite

MOST_TEXT = 2**20  # characters of one text; the rest is left out, and the text says so


def script_json(data: Any) -> str:
    """JSON in ASCII that can stand inside a script element: no text in it can end the element or open another."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


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
