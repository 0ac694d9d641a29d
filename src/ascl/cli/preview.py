"""Training rows in the terminal: what `ascl data build --preview` shows, and `ascl data show`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from ascl.chat.messages import Message, Trajectory
from ascl.chat.render import Renderer
from ascl.data.row import Pair, Row
from ascl.inputs import iterate_jsonl
from ascl.progress import Screen
from ascl.recipes.build import Built, Rejected, without_row
from ascl.terminal import echo, printable
from ascl.train.tokens import IGNORED, encode_row


def show_preview(built: Built, folder: Path) -> None:
    """Print what was built in `folder`: the rows, then what was rejected."""
    for row in built.rows:
        show_row(row)
    for rejected in built.replaced:
        _show_rejected(rejected, "the reference is kept", folder)
    rejected_prompts = without_row(built, folder)
    for rejected in rejected_prompts:
        _show_rejected(rejected, "no row", folder)
    echo(f"\n{len(built.rows)} rows, {len(rejected_prompts)} prompts without one")


def show_row(row: Row | Pair) -> None:
    """Print the messages of a row, or of both sides of a pair."""
    _head(
        f"{row.id} ({', '.join(filter(None, [row.kind and row.kind.value, row.provenance.get('origin', row.recipe)]))})"
    )
    if isinstance(row, Row):
        _say(row.messages)
    else:
        _say(row.prompt)
        _say(row.chosen, "chosen ")
        _say(row.rejected, "rejected ")


def show_tokens(row: Row, renderer: Renderer) -> None:
    """Print the tokens of a row as a model reads them; those that carry loss stand in green between `[` and `]`."""
    encoded = encode_row(row, renderer)
    text, learnt = Text(), False
    for token, label in zip(encoded["input_ids"], encoded["labels"], strict=True):
        if (label != IGNORED) != learnt:
            learnt = not learnt
            text.append("[" if learnt else "]", "bold green")
        text.append(printable(renderer.tokenizer.decode([token])), "green" if learnt else "dim")
    if learnt:
        text.append("]", "bold green")
    screen = Screen()
    screen.print(text)
    count = sum(label != IGNORED for label in encoded["labels"])
    screen.say(f"{row.id}: {len(encoded['labels'])} tokens, {count} carry loss")


def _show_rejected(rejected: Rejected, outcome: str, folder: Path) -> None:
    _head(f"{rejected.id}: {outcome} ({rejected.stage}: {rejected.reason})")
    if rejected.messages:
        _say(rejected.messages)
        return
    for stage in (rejected.stage, f"{rejected.stage}_closed"):
        for trajectory in _sampled(folder / "stages" / f"{stage}.jsonl", rejected.id):
            _say(trajectory.completion)
            echo(f"[the model's turn ended: {trajectory.stop}]")
    for failure in _records(folder / "stages" / "rejected.jsonl"):
        if (failure["id"], failure["stage"]) == (rejected.id, rejected.stage):
            echo(f"[the request failed: {failure['kind']}] {failure['reason']}")


def _sampled(path: Path, prompt_id: str) -> list[Trajectory]:
    found = (row["trajectory"] for row in _records(path))
    return [Trajectory.model_validate(t) for t in found if t["prompt_id"] == prompt_id]


def _records(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in iterate_jsonl(path)] if path.exists() else []


def _head(text: str) -> None:
    echo(f"\n{text}", bold=True)


def _say(messages: Sequence[Message], whose: str = "") -> None:
    for message in messages:
        if message.reasoning_content:
            echo(f"[{whose}{message.role}, thought] {message.reasoning_content}")
        for call in message.tool_calls:
            echo(f"[{whose}{message.role}, call] {call.name} {call.arguments}")
        if message.content:
            echo(f"[{whose}{message.role}] {message.content}")
