"""Evaluate a model in one of the five variants on a set of prompts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ascl.chat.clients.sampling import Client, Sampling
from ascl.chat.messages import Trajectory
from ascl.consult.sample import Job
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import Variant
from ascl.evals.collect import walk_prompts
from ascl.judges.record import Judge, Record, judge_trajectories, record, unread
from ascl.progress import Report, silent
from ascl.prompts.prompt import Prompt
from ascl.saved import saved_rows


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
    progress: Report = silent,
) -> list[Record]:
    """The judged trajectories of `prompts`, in order, appended to `path` as they are made; resumable (see `sample_to`).

    name: what the variant is called in the report (a trained model runs in the `ascl` variant under its own name). The
    tool is offered in the `ascl` variant only. A prompt that the server of the model refused has no record.
    """
    by_id = {prompt.id: prompt for prompt in prompts}

    def rows(walked: Sequence[tuple[Job, Trajectory]]) -> list[dict[str, Any]]:
        asked = [(by_id[job.id], trajectory) for job, trajectory in walked]
        judged = zip(asked, judge_trajectories(judge, asked), strict=True)
        return [
            record(name, *one, verdict or unread(judge.name, *one)).model_dump(mode="json") for one, verdict in judged
        ]

    jobs = ((prompt.id, prompt) for prompt in prompts)
    walk_prompts(path, jobs, variant, client, tool, sampling, rows, chunk, progress=progress)
    records = {record.prompt.id: record for record in saved_rows(path, Record)}
    return [records[prompt.id] for prompt in prompts if prompt.id in records]
