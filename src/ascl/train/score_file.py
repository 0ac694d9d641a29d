"""What `ascl score` shows: what each trajectory of a file would be worth in RL, by a judge that reads it again."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ascl.chat.messages import Trajectory
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError, first_problem
from ascl.inputs import iterate_jsonl
from ascl.judges.judge import Case, Judge, judge_all
from ascl.judges.verdict import Verdict
from ascl.train.reward import Reward, RewardWeights, score


class _Read(BaseModel):
    """What scoring needs of a `Record`; its old verdict is not looked at."""

    model_config = ConfigDict(extra="ignore")

    prompt: Prompt
    trajectory: Trajectory


def load_cases(path: Path) -> list[Case]:
    """The prompts and trajectories of a file of records. Raises InputError naming the file, the line and the field."""
    cases = []
    for number, row in iterate_jsonl(path):
        try:
            read = _Read.model_validate(row)
        except ValidationError as error:
            raise InputError(f"{path}, line {number}: {first_problem(error)}") from error
        cases.append(Case(read.prompt, read.trajectory))
    if not cases:
        raise InputError(f"{path}: no trajectories")
    return cases


def score_cases(cases: list[Case], judge: Judge, weights: RewardWeights) -> list[tuple[Verdict | None, Reward | None]]:
    """The verdict on each trajectory and its reward; both are None where no verdict could be read."""
    verdicts = judge_all(judge, cases)
    return [
        (verdict, None if verdict is None else score(one.prompt.kind, one.trajectory, verdict, weights))
        for one, verdict in zip(cases, verdicts, strict=True)
    ]


def unparsed(cases: list[Case], verdicts: list[Verdict | None]) -> float | None:
    """Of the answers to reasoning problems, the share in which no result can be read; None where there are none."""
    of = [
        verdict.correct
        for one, verdict in zip(cases, verdicts, strict=True)
        if verdict is not None and one.prompt.kind is Kind.REASONING and one.trajectory.answer is not None
    ]
    return of.count(None) / len(of) if of else None
