"""The prompts of an edit, the model's replies to them, and which of the replies the judge finds to be answers."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ascl.chat.render import Renderer
from ascl.consult.rollout import rollout, start
from ascl.data.load import question
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError
from ascl.judges.judge import Case, Judge, judge_all
from ascl.judges.verdict import Refusal
from ascl.models.activations import NO_THOUGHT
from ascl.models.in_process import InProcessClient
from ascl.models.sampling import Sampling
from ascl.train.edit.settings import EditSettings

KINDS = (Kind.HARMFUL, Kind.SENSITIVE, Kind.PLAIN)
VALIDATION = 0.2  # of the prompts of each side
_LEAST = 5  # of each side: one of them is for validation


@dataclass(frozen=True)
class Sides:
    """Prompts for the directions, harmful and benign, and those held out for validation."""

    harmful: list[Prompt]
    benign: list[Prompt]
    held_out: list[Prompt]

    def drawn(self, most: int, seed: int, iteration: int) -> list[Prompt]:
        """At most `most` harmful and as many benign prompts of an iteration."""
        generator = random.Random(f"{seed} {iteration}")
        return [p for side in (self.harmful, self.benign) for p in generator.sample(side, min(most, len(side)))]


def split_sides(prompts: Sequence[Prompt], most: int, seed: int) -> Sides:
    """The prompts of `KINDS`, shuffled and split; of each side at most `most` are held out.

    A prompt with a rule book of its own is left out: no rules are shown here. Raises InputError where a side has fewer
    than five.
    """
    asked = [p for p in prompts if p.kind in KINDS and p.book is None]
    split = []
    for harmful in (True, False):
        side = [p for p in asked if (p.kind is Kind.HARMFUL) is harmful]
        if len(side) < _LEAST:
            kinds = "harmful" if harmful else "sensitive or plain"
            raise InputError(f"edit: {len(side)} train prompts are {kinds}, and {_LEAST} are needed; add prompts")
        random.Random(seed).shuffle(side)
        held_out = min(most, int(len(side) * VALIDATION))
        split.append((side[held_out:], side[:held_out]))
    (harmful_side, first), (benign_side, second) = split
    return Sides(harmful_side, benign_side, first + second)


def answered(
    model: Any, renderer: Renderer, prompts: Sequence[Prompt], judge: Judge, settings: EditSettings
) -> list[bool | None]:
    """Whether the model's greedy reply to each prompt is an answer; None where the judge says nothing on that.

    The reply comes without a thought, system text or tool. A partial refusal is no answer, and an off-topic reply is
    neither. Raises InputError where the judge says of no reply whether it refuses.
    """
    client = InProcessClient(model, renderer)
    sampling = Sampling(temperature=0, max_tokens=settings.max_tokens)
    cases: list[Case] = []
    for first in range(0, len(prompts), settings.batch):
        some = prompts[first : first + settings.batch]
        walked = [start(p.id, question(p), NO_THOUGHT) for p in some]
        rollout(client, walked, None, sampling, max_turns=1)
        cases += [Case(p, trajectory) for p, trajectory in zip(some, walked, strict=True)]
    said = [verdict.refusal if verdict else None for verdict in judge_all(judge, cases)]
    replies = [case.trajectory.answer is not None for case in cases]
    if any(replies) and all(one is None for one in said):
        raise InputError(f"edit: the judge {judge.name} says of no reply whether it refuses; name one that does")
    return [None if one in (None, Refusal.OFF_TOPIC) else one is Refusal.FULL_COMPLIANCE for one in said]


def f1(replies: Sequence[tuple[bool, bool | None]]) -> float:
    """F1 of answering the benign prompts alone, from pairs (whether a prompt is benign, whether it was answered).

    A benign prompt answered is a true positive, a harmful one a false positive. None counts as not answered. 0 where no
    benign prompt is answered.
    """
    hits = sum(benign and answer is True for benign, answer in replies)
    said = sum(answer is True for _, answer in replies)
    return 2 * hits / (said + sum(benign for benign, _ in replies)) if hits else 0.0
