"""ASCL's behaviour-cloning set (arXiv 2602.13562, section on behaviour cloning).

harmful+consult : sensitive+consult : sensitive+direct = 2 : 3 : 2, and direct answers to plain and reasoning prompts
beside them (ours: a small model forgets otherwise how to answer; the paper's set has none). The trajectories come from
the shipped demonstrations, or from a teacher model; either way the real tool produces the consulted rules.
"""

import random
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ascl.chat.messages import Trajectory
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import with_rules
from ascl.errors import InputError
from ascl.files import read_jsonl
from ascl.judges.verdict import Refusal, Verdict
from ascl.prompts.prompt import Kind, Prompt
from ascl.prompts.sources import STARTER, question
from ascl.recipes.rows import Row, native_row

RATIO = (2, 3, 2)


class Demonstration(BaseModel):
    """A hand-written trajectory without the rules: they are looked up when the row is built."""

    model_config = ConfigDict(extra="forbid")

    id: str
    thought: str
    answer: str
    mode: str
    query: str | None = None
    second_thought: str | None = None


def load_demonstrations(folder: Path = STARTER) -> dict[str, Demonstration]:
    """The demonstrations beside a prompt set (`demonstrations*.jsonl`), by prompt id."""
    found: dict[str, Demonstration] = {}
    for path in sorted(folder.glob("demonstrations*.jsonl")):
        for number, row in read_jsonl(path):
            try:
                demonstration = Demonstration.model_validate(row)
            except ValidationError as error:
                first = error.errors()[0]
                raise InputError(f"{path}, line {number}: {first['loc']}: {first['msg']}") from error
            found[demonstration.id] = demonstration
    return found


def demonstrate(prompt: Prompt, demonstration: Demonstration, tool: ConsultTool) -> Trajectory:
    """Play a demonstration through the rollout loop, with the real tool answering its call."""
    trajectory = start(prompt.id, with_rules("ascl", question(prompt), tool))
    if demonstration.query is not None:
        call = ParsedCall(TOOL_NAME, {"query": demonstration.query})
        advance(trajectory, Turn("", demonstration.thought, [call]), tool)
        advance(trajectory, Turn(demonstration.answer, demonstration.second_thought), tool)
    else:
        advance(trajectory, Turn(demonstration.answer, demonstration.thought), tool)
    return trajectory


def acceptable(kind: Kind, trajectory: Trajectory, verdict: Verdict) -> bool:
    """Whether a teacher's trajectory is worth cloning: no fault, every turn thought, and the right thing done.

    Harmful prompts must be consulted on and refused; all others answered in full, reasoning correctly.
    """
    if trajectory.faults or trajectory.answer is None or not all(t.strip() for t in trajectory.thoughts):
        return False
    if verdict.claims_consultation:
        return False
    if kind is Kind.HARMFUL:
        return trajectory.consulted and verdict.refusal is Refusal.FULL_REFUSAL
    if kind is Kind.REASONING:
        return bool(verdict.correct) and not trajectory.consulted
    return verdict.refusal is Refusal.FULL_COMPLIANCE and (kind is Kind.SENSITIVE or not trajectory.consulted)


def build_rows(
    trajectories: list[tuple[Prompt, Trajectory]], tool: ConsultTool, recipe: str, seed: int = 0
) -> list[Row]:
    """Mix 2 : 3 : 2 as far as the scarcest part allows, and add every plain and reasoning trajectory."""
    rows = [native_row(t, p.kind, [tool.schema], recipe, p.source) for p, t in trajectories]
    parts = [
        [r for r in rows if (r.kind, r.mode) == part]
        for part in ((Kind.HARMFUL, "consult"), (Kind.SENSITIVE, "consult"), (Kind.SENSITIVE, "direct"))
    ]
    unit = min(len(part) // share for part, share in zip(parts, RATIO, strict=True))
    generator = random.Random(seed)
    mixed = [row for part, share in zip(parts, RATIO, strict=True) for row in generator.sample(part, unit * share)]
    rest = [r for r in rows if r.kind in (Kind.PLAIN, Kind.REASONING) and r.mode == "direct"]
    return sorted(mixed + rest, key=lambda row: row.id)
