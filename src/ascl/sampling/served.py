"""Walk prompts on a server: each on its own, many at once, every finished one on disk before it counts."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from ascl.consult.rollout import advance, start
from ascl.consult.tool import ConsultTool
from ascl.errors import InputError
from ascl.files import append_lines, json_line
from ascl.models.openai_server import OpenAIClient
from ascl.models.retry import RequestFailed
from ascl.models.sampling import Sampling
from ascl.progress import Report
from ascl.sampling.job import Budget, BudgetSpent, Failure, Job, MakeRows, seed_of

if TYPE_CHECKING:
    import openai

REJECTED_IN_A_ROW = 20
POOL = 16  # requests under way that share a pool of connections; each of them looks through the whole pool

Line = tuple[Path, bytes]  # a record, and the file it belongs in


@dataclass
class ServedRun:
    """A run over many prompts on one server, and its counts so far (`done` begins with those of earlier runs).

    A prompt whose request fails for good is rejected: it leaves a line in `rejected` instead of one in `path`. The run
    ends with an InputError where the other prompts would fail as well: the key, the model or the address is wrong (401,
    403, 404), nobody listens there, or REJECTED_IN_A_ROW prompts were rejected and no request answered in between.
    """

    path: Path
    rejected: Path
    client: OpenAIClient
    tool: ConsultTool | None
    sampling: Sampling
    rows: MakeRows
    max_turns: int
    budget: Budget
    progress: Report
    done: int = 0
    tokens: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    rejected_in_a_row: int = 0

    async def walk_all(self, jobs: Iterable[Job]) -> None:
        """Walk the jobs. One is taken from the iterable when there is room; it makes room again once it is on disk."""
        waiting, earlier, started = iter(jobs), self.done, time.monotonic()
        room = self.budget.room(self.client.concurrency, self.max_turns, self.sampling.max_tokens)
        spent: Exception | None = None
        walks: set[asyncio.Task[Line]] = set()
        async with AsyncExitStack() as stack:
            pools = ceil(room / POOL)
            servers = cycle([await stack.enter_async_context(self.client.connect()) for _ in range(pools)])
            try:
                while True:
                    for job in islice(waiting, 0 if spent else room - len(walks)):
                        walks.add(asyncio.create_task(self._walk(next(servers), job)))
                    if not walks:
                        break
                    ended, walks = await asyncio.wait(walks, return_when=asyncio.FIRST_COMPLETED)
                    await self._write([walk.result() for walk in ended if walk.exception() is None])
                    for error in filter(None, (walk.exception() for walk in ended)):
                        if not isinstance(error, BudgetSpent):
                            raise error
                        spent = error
                    self._check_rejected()
                    self.progress(self.done, self._note(self.done - earlier, time.monotonic() - started))
            finally:
                for walk in walks:
                    walk.cancel()
                await asyncio.gather(*walks, return_exceptions=True)
        if spent is not None:
            raise BudgetSpent(f"{spent}: {self.done} prompts are finished; the same command goes on") from spent

    async def _walk(self, server: "openai.AsyncOpenAI", job: Job) -> Line:
        trajectory, going = start(job.id, job.messages, job.prefill, job.book), True
        schemas = [self.tool.schema] if self.tool else []
        seed = seed_of(self.sampling.seed, job.id)
        try:
            while going:
                sampling = self.sampling.model_copy(update={"seed": seed})
                turn = await self.client.turn(server, trajectory, schemas, sampling, self.budget.take, self._failing)
                self.tokens += turn.tokens
                self.budget.spent_tokens += turn.tokens
                self.rejected_in_a_row = 0
                going = advance(trajectory, turn, self.tool, self.max_turns)
                seed += 1
        except RequestFailed as failed:
            if failed.ends_run:
                raise self.client.input_error(failed) from failed
            self.failures["rejected"] += 1
            failure = Failure(
                id=job.id, stage=self.path.stem, kind=failed.kind, reason=failed.reason, attempts=failed.attempts
            )
            return self.rejected, json_line(failure.model_dump())
        (record,) = self.rows([(job, trajectory)])
        return self.path, json_line(record)

    async def _write(self, lines: list[Line]) -> None:
        """Append what ended since the last write: one fsync for all of it, in a thread, so that requests go on."""
        self.rejected_in_a_row += sum(path == self.rejected for path, _ in lines)
        for path in (self.path, self.rejected):
            if of_path := [line for where, line in lines if where == path]:
                await asyncio.to_thread(append_lines, path, of_path)
        self.done += len(lines)

    def _failing(self, failed: RequestFailed) -> None:
        self.failures[failed.kind] += 1
        self.last_failure = failed

    def _check_rejected(self) -> None:
        if self.rejected_in_a_row >= REJECTED_IN_A_ROW:
            told = self.client.input_error(self.last_failure)
            raise InputError(
                f"{self.rejected_in_a_row} prompts in a row were rejected, the last one so: {told} "
                f"(they are in {self.rejected}; delete it to ask them again)"
            ) from self.last_failure

    def _note(self, finished: int, seconds: float) -> str:
        seconds = max(seconds, 1e-3)
        rates = [f"{finished / seconds:.1f} prompts/s", f"{self.tokens / seconds:.0f} tokens/s"]
        return ", ".join(rates + [f"{count} {kind}" for kind, count in sorted(self.failures.items())])
