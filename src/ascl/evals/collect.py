"""The answers of an evaluation: every prompt of every benchmark walked to a file, unjudged and resumable."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ascl.chat.messages import Trajectory
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import Variant, with_rules
from ascl.data.load import question
from ascl.data.prompt import Prompt
from ascl.evals.results import Asked, Sampled
from ascl.models.sampling import Client, Sampling
from ascl.progress import Report, silent
from ascl.sampling.to_file import Budget, Job, MakeRows, sample_to


def collect(
    path: Path,
    prompts: list[Prompt],
    asked: Asked,
    variant: Variant,
    client: Client,
    tool: ConsultTool,
    chunk: int = 32,
    budget: Budget | None = None,
    progress: Report = silent,
) -> None:
    """Walk every prompt of a benchmark `asked.epochs` times to `path`, by the rollout loop of training.

    The tool is offered in the `ascl` variant only. Resumes as `sample_to` does, with its errors; a prompt that the
    server of the model refuses for good has a line in `rejected.jsonl` beside `path` instead.
    """
    wanted: dict[str, tuple[Prompt, int]] = {}
    for epoch in range(asked.epochs):
        for prompt in prompts:
            name = epoch_id(prompt.id, epoch)
            while name in wanted:  # another prompt's own id looks like that
                name += "#"
            wanted[name] = prompt, epoch

    def rows(walked: Sequence[tuple[Job, Trajectory]]) -> list[dict[str, Any]]:
        found = [(*wanted[job.id], trajectory) for job, trajectory in walked]
        return [Sampled(prompt=p, epoch=e, trajectory=t).model_dump(mode="json") for p, e, t in found]

    jobs = ((name, prompt) for name, (prompt, _) in wanted.items())
    walk_prompts(path, jobs, variant, client, tool, asked.sampling, rows, chunk, budget, progress)


def walk_prompts(
    path: Path,
    prompts: Iterable[tuple[str, Prompt]],
    variant: Variant,
    client: Client,
    tool: ConsultTool,
    sampling: Sampling,
    rows: MakeRows,
    chunk: int,
    budget: Budget | None = None,
    progress: Report = silent,
) -> None:
    """Walk prompts, each under its id, to `path` in a variant; see `sample_to`."""
    jobs = (
        Job(name, with_rules(variant, question(prompt), tool.under(prompt.book)), book=prompt.book)
        for name, prompt in prompts
    )
    offered = tool if variant == "ascl" else None
    sample_to(path, client, jobs, offered, sampling, rows, chunk, budget=budget, progress=progress)


def epoch_id(prompt_id: str, epoch: int) -> str:
    """The id of one of several answers to a prompt; the first one has the prompt's own."""
    return f"{prompt_id}#{epoch}" if epoch else prompt_id
