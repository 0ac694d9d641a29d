"""ASCL's behaviour-cloning set (arXiv 2602.13562, section on behaviour cloning).

harmful+consult : sensitive+consult : sensitive+direct = 2 : 3 : 2, and direct answers to plain and reasoning prompts
beside them (ours: a small model forgets otherwise how to answer; the paper's set has none). The trajectories come from
the shipped demonstrations, or from a teacher model; either way the real tool produces the consulted rules.
"""

import hashlib
import math
import random
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ascl.chat.clients.openai_server import OpenAIClient
from ascl.chat.clients.sampling import Sampling
from ascl.chat.messages import StopReason, Trajectory
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.sample import sample_to
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import with_rules
from ascl.errors import InputError, first_problem
from ascl.files import read_jsonl, write_jsonl
from ascl.judges.record import Judge, Record, judge_trajectory, record
from ascl.judges.verdict import Refusal, Verdict
from ascl.progress import progress_bar
from ascl.prompts.prompt import Kind, Prompt
from ascl.prompts.sources import STARTER, load_prompts, question
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
                raise InputError(f"{path}, line {number}: {first_problem(error)}") from error
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
    """Whether a teacher's trajectory is worth cloning: no fault, every turn thought and ended, the right thing done.

    Harmful prompts must be consulted on and refused; all others answered in full, reasoning correctly.
    """
    if trajectory.stop is not StopReason.ANSWERED or trajectory.faults:
        return False
    if not all(thought.strip() for thought in trajectory.thoughts):
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
    """Mix 2 : 3 : 2, the scarcest part whole and the others rounded up; add every plain and reasoning trajectory."""
    rows = [native_row(t, p.kind, [tool.schema], recipe, p.source) for p, t in trajectories]
    parts = [
        [r for r in rows if (r.kind, r.mode) == part]
        for part in ((Kind.HARMFUL, "consult"), (Kind.SENSITIVE, "consult"), (Kind.SENSITIVE, "direct"))
    ]
    scarce, of = min(((len(part), share) for part, share in zip(parts, RATIO, strict=True)), key=lambda p: p[0] / p[1])
    counts = [math.ceil(scarce * share / of) for share in RATIO]
    generator = random.Random(seed)
    mixed = [row for part, count in zip(parts, counts, strict=True) for row in generator.sample(part, count)]
    rest = [r for r in rows if r.kind in (Kind.PLAIN, Kind.REASONING) and r.mode == "direct"]
    return sorted(mixed + rest, key=lambda row: row.id)


def demonstrated(tool: ConsultTool) -> list[tuple[Prompt, Trajectory]]:
    """The shipped demonstrations of the starter prompts, played with the real tool."""
    demonstrations = load_demonstrations()
    prompts = {prompt.id: prompt for prompt in load_prompts(["starter"])}
    return [(prompts[i], demonstrate(prompts[i], d, tool)) for i, d in demonstrations.items()]


def is_cloned(prompt: Prompt) -> bool:
    """Whether a teacher demonstrates this train prompt: every second one, by its id; the others are left to RL."""
    return hashlib.sha256(f"cloned {prompt.id}".encode()).digest()[0] % 2 == 0


def taught(
    model: str,
    base_url: str | None,
    concurrency: int,
    sampling: Sampling,
    prompts: list[Prompt],
    tool: ConsultTool,
    judge: Judge,
    folder: Path,
) -> list[tuple[Prompt, Trajectory]]:
    """Trajectories of a teacher behind an OpenAI-compatible server, `acceptable` ones only.

    Every trajectory goes to `folder/teacher.jsonl` as it comes (resumable); the rejected ones to `rejected.jsonl`.
    """
    client = OpenAIClient(model, base_url, concurrency)
    items = [(prompt.id, with_rules("ascl", question(prompt), tool)) for prompt in prompts]

    def row(index: int, trajectory: Trajectory) -> dict[str, object]:
        verdict = judge_trajectory(judge, prompts[index], trajectory)
        return record("teacher", prompts[index], trajectory, verdict).model_dump(mode="json")

    with progress_bar("teacher", len(items)) as progress:
        path = folder / "teacher.jsonl"
        rows = sample_to(path, client, items, tool, sampling, 4 * concurrency, row, progress)
    records = [Record.model_validate(r) for r in rows]
    accepted = [r for r in records if acceptable(r.prompt.kind, r.trajectory, r.verdict)]
    taken = {r.prompt.id for r in accepted}
    write_jsonl(folder / "rejected.jsonl", [r.model_dump(mode="json") for r in records if r.prompt.id not in taken])
    return [(r.prompt, r.trajectory) for r in accepted]
