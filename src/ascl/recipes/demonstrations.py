"""The shipped demonstrations: hand-written trajectories of the starter prompts, played with the real tool."""

from collections import Counter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ascl.chat.messages import Trajectory
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.load import STARTER, load_prompts, question
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError, first_problem
from ascl.inputs import read_jsonl
from ascl.rules.words import content_words

LEAST = 16  # consulting demonstrations of a kind, from which on a clone learns to consult at all


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


def demonstrated(tool: ConsultTool) -> list[tuple[Prompt, Trajectory]]:
    """The shipped demonstrations of the starter prompts, played with the real tool."""
    demonstrations = load_demonstrations()
    prompts = {prompt.id: prompt for prompt in load_prompts(["starter"])}
    return [(prompts[i], demonstrate(prompts[i], d, tool)) for i, d in demonstrations.items()]


def fitting(tool: ConsultTool) -> tuple[list[tuple[Prompt, Trajectory]], list[Prompt]]:
    """The demonstrations whose rule the tool really returns, and the prompts of the others.

    Raises InputError where fewer than `LEAST` consultations of either kind are left to clone.
    """
    shown = demonstrated(tool)
    kept = [(prompt, trajectory) for prompt, trajectory in shown if grounded(trajectory)]
    consulting = Counter(prompt.kind for prompt, trajectory in kept if trajectory.consulted)
    for kind in (Kind.HARMFUL, Kind.SENSITIVE):
        if consulting[kind] < LEAST:
            written = sum(prompt.kind is kind and trajectory.consulted for prompt, trajectory in shown)
            raise InputError(
                f"rules: of the {written} {kind.value} demonstrations that consult, this rule book answers "
                f"{consulting[kind]} with the rule they speak of; {LEAST} are needed. Name a model "
                "that is sampled instead (arms.NAME.data.model), or rows of your own (arms.NAME.data.rows)"
            )
    return kept, [prompt for prompt, trajectory in shown if not grounded(trajectory)]


def grounded(trajectory: Trajectory) -> bool:
    """Whether a demonstration's second thought speaks of a rule that the tool returned (a direct one always may stay).

    It does where the query and the second thought share two content words with one rule. The shipped demonstrations are
    written for the shipped rules. Over another book, "the rules forbid ..." may follow a result that says nothing
    of the kind, and a model would learn to refuse whatever came back.
    """
    if not trajectory.consulted:
        return True
    consultation = trajectory.consultations[0]
    said = _matter(f"{consultation.query} {trajectory.thoughts[-1]}")
    return any(len(said & _matter(hit.text)) > 1 for hit in consultation.hits)


def _matter(text: str) -> set[str]:
    return set(content_words(text)) - _OF_EVERY_RULE


# What demonstrations say of any rule and any request.
_OF_EVERY_RULE = set(content_words("rule forbid request ask question user answer refuse explain fall person people"))
