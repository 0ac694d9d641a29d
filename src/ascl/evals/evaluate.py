"""Evaluate a model in one of the five variants on a set of prompts."""

from collections.abc import Callable
from pathlib import Path

from ascl.chat.clients.sampling import Client, Sampling
from ascl.chat.messages import Trajectory
from ascl.consult.sample import sample_to
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import Variant, with_rules
from ascl.judges.record import Judge, Record, judge_trajectory, record
from ascl.prompts.prompt import Prompt
from ascl.prompts.sources import question


def evaluate(
    name: str,
    variant: Variant,
    prompts: list[Prompt],
    client: Client,
    tool: ConsultTool,
    judge: Judge,
    sampling: Sampling,
    chunk: int,
    path: Path,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Record]:
    """The judged trajectories of `prompts`, appended to `path` as they are made; resumable (see `sample_to`).

    name: what the variant is called in the report (a trained model runs in the `ascl` variant under its own name). The
    tool is offered in the `ascl` variant only.
    """

    def row(index: int, trajectory: Trajectory) -> dict[str, object]:
        verdict = judge_trajectory(judge, prompts[index], trajectory)
        return record(name, prompts[index], trajectory, verdict).model_dump(mode="json")

    items = [(prompt.id, with_rules(variant, question(prompt), tool)) for prompt in prompts]
    offered = tool if variant == "ascl" else None
    rows = sample_to(path, client, items, offered, sampling, chunk, row, progress)
    return [Record.model_validate(r) for r in rows]
