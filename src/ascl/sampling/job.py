"""What is to be sampled: the jobs of a file, how a job's record is made, and what the run may cost."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from ascl.chat.messages import Message, Opening, Trajectory
from ascl.errors import InputError
from ascl.rules.edit import BookEdit


@dataclass(frozen=True)
class Job:
    """One prompt to walk.

    id: unique in the file. prefill: what the model's first turn begins with. book: how the rule book differs.
    """

    id: str
    messages: list[Message]
    prefill: Opening | None = None
    book: BookEdit | None = None


class Failure(BaseModel):
    """A line of `rejected.jsonl`: a prompt whose request failed for good, in which stage, and why."""

    id: str
    stage: str
    kind: str
    reason: str | None = None
    attempts: int | None = None


class BudgetSpent(InputError):
    """The run has asked for as much as it may. What is finished is in the file, and the same command goes on."""


@dataclass
class Budget:
    """What a run may ask of its models, 0 = no bound: requests, and generated tokens.

    A request is one turn of one prompt; on a server, retries count. Tokens are counted as the server reports them.
    `spent_requests` and `spent_tokens` count over all calls of `sample_to` that are given the same budget. Requests are
    never exceeded; turns that are under way when the tokens are spent are waited for and come on top.
    """

    requests: int = 0
    tokens: int = 0
    spent_requests: int = 0
    spent_tokens: int = 0

    def room(self, most: int, max_turns: int, max_tokens: int) -> int:
        """How many prompts may walk at once, `most` at most.

        All of them can go through `max_turns` turns of `max_tokens` tokens within the budget: a small one must not be
        spent on first turns alone, in every run again.
        """
        bounds = [self.requests // max_turns] if self.requests else []
        bounds += [self.tokens // (max_turns * max_tokens)] if self.tokens else []
        return max(min([most, *bounds]), 1)

    def take(self, requests: int = 1) -> None:
        """Count requests that are about to be sent. Raises BudgetSpent where there is no budget for them."""
        if 0 < self.requests < self.spent_requests + requests:
            raise BudgetSpent(f"the budget of {self.requests} requests is spent")
        if 0 < self.tokens <= self.spent_tokens:
            raise BudgetSpent(f"the budget of {self.tokens} tokens is spent")
        self.spent_requests += requests


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
