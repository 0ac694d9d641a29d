"""What is to be sampled: the jobs of a file, how a job's record is made, and what the run may cost."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ascl.chat.messages import Message, Trajectory


@dataclass(frozen=True)
class Job:
    """One prompt to walk.

    id: unique in the file. prefill: text the model's first turn begins with, in the model's dialect; its markers are
    live, so it must come from the caller and never from a prompt.
    """

    id: str
    messages: list[Message]
    prefill: str = ""


@dataclass
class Limits:
    """What may be asked of servers, 0 = no bound: requests (retries count), and generated tokens.

    `requests` and `tokens` count what was spent, over all calls of `sample_to` that are given the same limits. Tokens
    are counted as the server reports them. What is under way at the limit is waited for, so that up to one turn for
    each concurrent prompt may come on top of it.
    """

    max_requests: int = 0
    max_tokens: int = 0
    requests: int = 0
    tokens: int = 0


# From jobs and their finished trajectories, a batch or one, to the records in the file. A record holds its trajectory
# under "trajectory".
MakeRows = Callable[[Sequence[tuple[Job, Trajectory]]], list[dict[str, Any]]]


def trajectory_rows(walked: Sequence[tuple[Job, Trajectory]]) -> list[dict[str, Any]]:
    """The records where nothing beside the trajectory is to be kept."""
    return [{"trajectory": trajectory.model_dump(mode="json")} for _, trajectory in walked]


def seed_of(seed: int, prompt_id: str) -> int:
    """A prompt's own seed, of a size every server takes: samples of one text under several ids must differ.

    It hangs on the id alone, so a prompt is asked for alike whatever the order, in a first run and in a later one.
    """
    return (seed + zlib.crc32(prompt_id.encode())) % 2**30
