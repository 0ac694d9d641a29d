"""Walk many prompts to a file, so that a run that was stopped or killed goes on where it was.

Every finished prompt is a whole line of the file, and which prompts are finished is read from the file alone. Once all
are, the lines are put in the order of their prompt ids: the file does not tell how often the run was stopped.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ascl.chat.messages import Trajectory
from ascl.chat.turn import Turn
from ascl.consult.rollout import MAX_TURNS, rollout, start
from ascl.consult.tool import ConsultTool
from ascl.errors import InputError
from ascl.files import append_jsonl, cut_torn_line, index_jsonl, sort_jsonl
from ascl.models.openai_server import OpenAIClient
from ascl.models.sampling import Client, Sampling
from ascl.progress import Report, silent
from ascl.sampling.job import Budget, BudgetSpent, Failure, Job, MakeRows, trajectory_rows
from ascl.sampling.served import ServedRun
from ascl.saved import saved_rows

__all__ = ["Budget", "BudgetSpent", "Job", "MakeRows", "prompt_id", "rejected_path", "sample_to", "trajectory_rows"]


def sample_to(
    path: Path,
    client: Client,
    jobs: Iterable[Job],
    tool: ConsultTool | None,
    sampling: Sampling,
    rows: MakeRows = trajectory_rows,
    chunk: int = 32,
    max_turns: int = MAX_TURNS,
    budget: Budget | None = None,
    progress: Report = silent,
) -> None:
    """Walk every job that has no record in `path` yet and append its record; at the end, sort by prompt id.

    On a server the prompts walk each on their own, `client.concurrency` at a time (see `ServedRun`). One that fails for
    good gets a line in `rejected.jsonl` beside `path` and counts as finished; delete that file to ask them again. In
    process, `chunk` jobs are one batch. Where records of a chunk are missing, the whole chunk is walked again and the
    missing ones are kept: a batch is always the same, so the file is the same however often the run was stopped. A
    small `budget` makes smaller batches (`Budget.room`), and what a batch samples depends on its size.

    `progress` hears how many prompts are done, those of earlier runs included. Raises BudgetSpent when the `budget` is,
    and InputError where the file is damaged or the server can't be used; either way the records that are written stay,
    and the same call goes on.
    """
    budget = budget or Budget()
    cut_torn_line(path)
    finished = set(index_jsonl(path, prompt_id)) if path.exists() else set()
    if isinstance(client, OpenAIClient):
        rejected = rejected_path(path)
        finished |= {failure.id for failure in rejections(path) if failure.stage == path.stem}
        progress(len(finished))
        run = ServedRun(path, rejected, client, tool, sampling, rows, max_turns, budget, progress, done=len(finished))
        asyncio.run(run.walk_all(job for job in _unique(jobs) if job.id not in finished))
    else:
        progress(len(finished))
        _walk_chunks(path, client, _unique(jobs), finished, tool, sampling, rows, chunk, max_turns, budget, progress)
    if not path.exists():
        append_jsonl(path, [])
    sort_jsonl(path, index_jsonl(path, prompt_id))


def rejected_path(path: Path) -> Path:
    """The file beside `path` that holds the prompts whose requests failed for good."""
    return path.with_name("rejected.jsonl")


def rejections(path: Path) -> list[Failure]:
    """The prompts whose requests failed for good, of `path` and the files beside it."""
    rejected = rejected_path(path)
    cut_torn_line(rejected)
    return list(saved_rows(rejected, Failure)) if rejected.exists() else []


def prompt_id(record: dict[str, Any]) -> Any:
    """What a record is found by."""
    return record["trajectory"]["prompt_id"]


def _unique(jobs: Iterable[Job]) -> Iterator[Job]:
    seen: set[str] = set()
    for job in jobs:
        if job.id in seen:
            raise InputError(f"prompt {job.id}: this id is there twice")
        seen.add(job.id)
        yield job


def _walk_chunks(
    path: Path,
    client: Client,
    jobs: Iterator[Job],
    finished: set[str],
    tool: ConsultTool | None,
    sampling: Sampling,
    rows: MakeRows,
    chunk: int,
    max_turns: int,
    budget: Budget,
    progress: Report,
) -> None:
    first, done = 0, len(finished)
    counted = _Counted(client, budget)
    chunk = budget.room(chunk, max_turns, sampling.max_tokens)
    while batch := list(islice(jobs, chunk)):
        if not all(job.id in finished for job in batch):
            walked = [start(job.id, job.messages, job.prefill, job.book) for job in batch]
            spent: BudgetSpent | None = None
            try:
                rollout(counted, walked, tool, sampling.model_copy(update={"seed": sampling.seed + first}), max_turns)
            except BudgetSpent as error:
                spent = error
            ended = [(j, t) for j, t in zip(batch, walked, strict=True) if j.id not in finished and t.stop is not None]
            append_jsonl(path, rows(ended))
            done += len(ended)
            progress(done)
            if spent is not None:
                raise BudgetSpent(f"{spent}: {done} prompts are finished; the same command goes on") from spent
        first += len(batch)


@dataclass
class _Counted:
    """A client in this process whose turns are taken from the budget."""

    client: Client
    budget: Budget

    def complete(self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling) -> list[Turn]:
        self.budget.take(len(trajectories))
        turns = self.client.complete(trajectories, tools, sampling)
        self.budget.spent_tokens += sum(turn.tokens for turn in turns)
        return turns
