"""Walk many prompts to a file, chunk by chunk, so that a killed run goes on where it stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ascl.chat.clients.sampling import Client, Sampling
from ascl.chat.messages import Message, Trajectory
from ascl.consult.rollout import rollout, start
from ascl.consult.tool import ConsultTool
from ascl.files import append_jsonl, read_finished, write_jsonl


def sample_to(
    path: Path,
    client: Client,
    items: list[tuple[str, list[Message]]],
    tool: ConsultTool | None,
    sampling: Sampling,
    chunk: int,
    row: Callable[[int, Trajectory], dict[str, Any]],
    progress: Callable[[int], None] = lambda done: None,
) -> list[dict[str, Any]]:
    """The rows of all items (prompt id, messages), in order, appended to `path` one chunk at a time.

    `row(i, trajectory)` makes the record of item i; `progress(n)` hears how many items are done. A chunk is the unit
    of work: its batch is always the same, so greedy decoding gives the same rows however often the run was stopped.
    What a kill left of an unfinished chunk is dropped and sampled again.
    """
    rows = read_finished(path)
    kept = len(items) if len(rows) >= len(items) else len(rows) // chunk * chunk
    if kept < len(rows):
        rows = rows[:kept]
        write_jsonl(path, rows)
    progress(kept)
    for first in range(kept, len(items), chunk):
        batch = [start(identity, messages) for identity, messages in items[first : first + chunk]]
        rollout(client, batch, tool, sampling.model_copy(update={"seed": sampling.seed + first}))
        new = [row(first + i, trajectory) for i, trajectory in enumerate(batch)]
        append_jsonl(path, new)
        rows += new
        progress(len(rows))
    return rows
