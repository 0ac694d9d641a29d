"""The shipped demonstrations: hand-written trajectories of the starter and house prompts, played with the real tool."""

import random
import re
from collections import Counter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ascl.chat.messages import Trajectory
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.books import HOUSE, Books, counterfactual, shown_house
from ascl.data.house import HousePrompt, HouseRule, Reply, load_house
from ascl.data.load import STARTER, load_prompts, question
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError, first_problem
from ascl.inputs import read_jsonl

LEAST = 16  # consulting demonstrations of a kind, from which on a clone learns to consult at all
DIRECT = 0.5  # share of the sensitive prompts that are shown with a direct answer too; all have one


class Demonstration(BaseModel):
    """A hand-written trajectory without the rules: they are looked up when the row is built."""

    model_config = ConfigDict(extra="forbid")

    id: str
    thought: str
    answer: str
    mode: str
    query: str | None = None
    second_thought: str | None = None


Shown = tuple[Prompt, Trajectory]


def load_demonstrations(folder: Path = STARTER) -> list[Demonstration]:
    """The demonstrations beside a prompt set (`demonstrations*.jsonl`); a prompt may have one of each mode."""
    found = []
    for path in sorted(folder.glob("demonstrations*.jsonl")):
        for number, row in read_jsonl(path):
            try:
                found.append(Demonstration.model_validate(row))
            except ValidationError as error:
                raise InputError(f"{path}, line {number}: {first_problem(error)}") from error
    return found


def demonstrate(prompt: Prompt, demonstration: Demonstration, tool: ConsultTool) -> Trajectory:
    """Play a demonstration through the rollout loop, with the real tool over the prompt's book answering its call."""
    shown = with_rules("ascl", question(prompt), tool.under(prompt.book))
    trajectory = start(prompt.id, shown, book=prompt.book)
    if demonstration.query is not None:
        call = ParsedCall(TOOL_NAME, {"query": demonstration.query})
        advance(trajectory, Turn("", demonstration.thought, [call]), tool)
        advance(trajectory, Turn(demonstration.answer, demonstration.second_thought), tool)
    else:
        advance(trajectory, Turn(demonstration.answer, demonstration.thought), tool)
    return trajectory


def demonstrated(tool: ConsultTool, books: Books = "off", seed: int = 0) -> list[Shown]:
    """The shipped demonstrations, played with the real tool, each under a book of its own (`data/books.py`).

    Half of the sensitive prompts, by the seed, are shown with a direct answer besides. books full: one prompt of each
    house rule is refused with the rule in its book and answered without; and half of the sensitive prompts are refused
    under a rule made for them. books hard: that prompt is answered under a near miss as well.
    """
    written = load_demonstrations()
    rng = random.Random(seed)
    pairs = [d for d in written if d.mode == "direct" and any(o.id == d.id and o.mode == "consult" for o in written)]
    left_out = {d.id for d in rng.sample(pairs, len(pairs) - round(DIRECT * len(pairs)))}
    taken = [d for d in written if d.mode == "consult" or d.id not in left_out]
    prompts = {prompt.id: prompt for prompt in load_prompts(["starter"])}
    cases = [(prompts[d.id], d) for d in taken]
    if books in HOUSE:
        for rule, one in shown_house(seed):
            cases += _house_cases(rule, one, books)
        consulting = {d.id: d for d in written if d.mode == "consult"}
        paired = rng.sample(load_house("pairs"), len(load_house("pairs")) // 2)
        cases += [_paired_case(rule, prompts, consulting) for rule in paired]
    perturbed = counterfactual([prompt for prompt, _ in cases], books, tool.book.categories, seed)
    return [(prompt, demonstrate(prompt, d, tool)) for prompt, (_, d) in zip(perturbed, cases, strict=True)]


def _house_cases(rule: HouseRule, one: HousePrompt, books: Books) -> list[tuple[Prompt, Demonstration]]:
    """The prompt refused under its rule, answered without it, and (hard) answered under a near miss."""
    asked = [(rule.asked(one, forbidden=True), one.refuse), (rule.asked(one, forbidden=False), one.comply)]
    if books == "hard":
        asked.append((rule.asked_near(one), one.near))
    return [(prompt, _consulting(one.id, one.thought, one.query, reply)) for prompt, reply in asked if reply]


def _paired_case(
    rule: HouseRule, prompts: dict[str, Prompt], consulting: dict[str, Demonstration]
) -> tuple[Prompt, Demonstration]:
    (one,) = rule.prompts
    assert one.of is not None and one.refuse is not None
    shown = consulting[one.of]
    named = one.model_copy(update={"id": one.of, "prompt": prompts[one.of].text})
    return rule.asked(named, True), _consulting(one.of, shown.thought, shown.query or "", one.refuse)


def _consulting(id: str, thought: str, query: str, reply: Reply) -> Demonstration:
    return Demonstration(
        id=id, mode="consult", thought=thought, query=query, second_thought=reply.second_thought, answer=reply.answer
    )


def fitting(tool: ConsultTool, books: Books = "off", seed: int = 0) -> tuple[list[Shown], list[Prompt]]:
    """The demonstrations whose rule the tool really returns, and the prompts of the others.

    Raises InputError where fewer than `LEAST` consultations of either kind are left to clone.
    """
    shown = demonstrated(tool, books, seed)
    kept = [(prompt, trajectory) for prompt, trajectory in shown if grounded(trajectory)]
    consulting = Counter(p.kind for p, trajectory in kept if trajectory.consulted and p.source != "house")
    for kind in (Kind.HARMFUL, Kind.SENSITIVE):
        if consulting[kind] < LEAST:
            written = sum(p.kind is kind and t.consulted and p.source != "house" for p, t in shown)
            raise InputError(
                f"rules: of the {written} {kind.value} demonstrations that consult, this rule book answers "
                f"{consulting[kind]} with the rule they speak of; {LEAST} are needed. Name a model "
                "that is sampled instead (arms.NAME.data.model), or rows of your own (arms.NAME.data.rows)"
            )
    return kept, [prompt for prompt, trajectory in shown if not grounded(trajectory)]


def grounded(trajectory: Trajectory) -> bool:
    """Whether all that a demonstration's second thought quotes stands in a rule that the tool returned.

    The shipped demonstrations are written for the shipped rules. Over another book, "the rules forbid ..." may follow a
    result that says nothing of the kind, and a model would learn to refuse whatever came back. One that quotes nothing
    speaks of no rule.
    """
    if not trajectory.consulted:
        return True
    quoted = re.findall(r'"([^"]+)"', trajectory.thoughts[-1])
    returned = " ".join(hit.text for hit in trajectory.consultations[0].hits).casefold()
    return all(quote.strip(".,").casefold() in returned for quote in quoted)
