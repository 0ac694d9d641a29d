"""`ascl rl CONFIG --score FILE`: what each trajectory of a file would be worth in RL, part by part."""

import json
from pathlib import Path
from statistics import fmean
from typing import TextIO

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ascl.chat.messages import Trajectory
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError, first_problem
from ascl.evals.metrics import left_out_warnings
from ascl.inputs import iterate_jsonl
from ascl.judges.judge import Case, Judge, judge_all
from ascl.judges.verdict import Verdict
from ascl.progress import Screen
from ascl.stats import Estimate
from ascl.train.reward import Reward, RewardWeights, score

COLUMNS = {
    "safety": "R_s",
    "compliance": "R_c",
    "hallucination": "P_h",
    "format": "P_f",
    "faults": "faults",
    "total": "total",
}


class Walked(BaseModel):
    """What scoring needs of a `Record`; its old verdict is not looked at."""

    model_config = ConfigDict(extra="ignore")

    prompt: Prompt
    trajectory: Trajectory

    @property
    def mode(self) -> str:
        """Whether the rules were consulted."""
        return "consult" if self.trajectory.consulted else "direct"


def load_walked(path: Path) -> list[Walked]:
    """The prompts and trajectories of a file of records. Raises InputError naming the file, the line and the field."""
    walked = []
    for number, row in iterate_jsonl(path):
        try:
            walked.append(Walked.model_validate(row))
        except ValidationError as error:
            raise InputError(f"{path}, line {number}: {first_problem(error)}") from error
    if not walked:
        raise InputError(f"{path}: no trajectories")
    return walked


def score_file(path: Path, judge: Judge, weights: RewardWeights, out: TextIO, as_json: bool = False) -> None:
    """Judge every trajectory of a file again and print the parts of its reward: a table, or JSONL.

    Means are over the trajectories with a readable verdict; the others (`unjudged`: their share) have no reward.
    unparsed: of the answers to reasoning problems, those in which no result can be read; they count as wrong.
    """
    walked = load_walked(path)
    verdicts = judge_all(judge, [Case(one.prompt, one.trajectory) for one in walked])
    rewards = [
        None if verdict is None else score(one.prompt.kind, one.trajectory, verdict, weights)
        for one, verdict in zip(walked, verdicts, strict=True)
    ]
    read = [reward for reward in rewards if reward is not None]
    means = {part: fmean(getattr(reward, part) for reward in read) if read else None for part in COLUMNS}
    shares = Estimate(unjudged=rewards.count(None) / len(rewards), unparsed=_unparsed(walked, verdicts))
    if not as_json:
        _print_table(walked, rewards, means, out)
        said = f"judge: {judge.name}; unjudged {100 * (shares.unjudged or 0):.1f} % ({rewards.count(None)} of"
        said += f" {len(rewards)}), unparsed {100 * (shares.unparsed or 0):.1f} %"
        for line in (said, *(f"warning: {warning}" for warning in left_out_warnings({"means": shares}))):
            Screen(file=out).say(line)
        return
    for one, verdict, reward in zip(walked, verdicts, rewards, strict=True):
        row = _told(one) | {
            "verdict": verdict and verdict.model_dump(mode="json"),
            "reward": reward and reward.model_dump(),
        }
        print(json.dumps(row), file=out)
    last = {"means": means, "trajectories": len(rewards), **shares.model_dump(include={"unjudged", "unparsed"})}
    last |= {"warnings": left_out_warnings({"means": shares}), "judge": judge.name}
    print(json.dumps(last), file=out)


def _unparsed(walked: list[Walked], verdicts: list[Verdict | None]) -> float | None:
    """Of the answers to reasoning problems, the share in which no result can be read; None where there are none."""
    of = [
        verdict.correct
        for one, verdict in zip(walked, verdicts, strict=True)
        if verdict is not None and one.prompt.kind is Kind.REASONING and one.trajectory.answer is not None
    ]
    return of.count(None) / len(of) if of else None


def _told(one: Walked) -> dict[str, str]:
    return {
        "prompt_id": one.prompt.id,
        "kind": one.prompt.kind.value,
        "mode": one.mode,
        "stop": str(one.trajectory.stop or "unfinished"),
    }


def _print_table(
    walked: list[Walked], rewards: list[Reward | None], means: dict[str, float | None], out: TextIO
) -> None:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("prompt", overflow="fold")
    for title in ("kind", "mode", "stop"):
        table.add_column(title, no_wrap=True)
    for title in COLUMNS.values():
        table.add_column(title, justify="right", no_wrap=True)
    for one, reward in zip(walked, rewards, strict=True):
        parts = (None if reward is None else getattr(reward, part) for part in COLUMNS)
        table.add_row(*_told(one).values(), *(_figure(part) for part in parts))
    table.add_section()
    table.add_row("mean", "", "", "", *(_figure(means[part]) for part in COLUMNS))
    Screen(file=out).print(table)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
