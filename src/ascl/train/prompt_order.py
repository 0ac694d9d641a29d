"""The order in which training that samples its own replies goes through its prompts."""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import cycle, pairwise

from ascl.data.prompt import Kind
from ascl.train.settings import DistillSettings, RlSettings


def steps_of(settings: RlSettings | DistillSettings, prompts: int) -> int:
    """Optimiser steps of a run."""
    return settings.max_steps or max(1, int(prompts * settings.epochs) // settings.prompts_per_step)


def prompt_order(kinds: Sequence[Kind], settings: RlSettings | DistillSettings, seed: int) -> list[int]:
    """The places in `kinds` of every step's prompts, one step after the other; whole steps only.

    Of the first n prompts, floor(n * harmful_share) are harmful, so that every step has its part of them: a step with
    prompts of one kind alone pays one mode alone. The other kinds take turns. Where all prompts are harmful, or none
    is, they are all there is to take. The prompts of a kind are taken in passes, each shuffled again. TRL's own
    sampler, resumed in a later pass, would go through the first one again.
    """
    generator = random.Random(seed)
    of_kind = {kind: [i for i, one in enumerate(kinds) if one is kind] for kind in sorted(set(kinds))}
    passes = {kind: _passes(places, generator) for kind, places in of_kind.items()}
    harmful = passes.get(Kind.HARMFUL)
    others = cycle([of for kind, of in passes.items() if kind is not Kind.HARMFUL] or passes.values())
    asked = steps_of(settings, len(kinds)) * settings.prompts_per_step
    due = [math.floor(n * settings.harmful_share + 1e-9) for n in range(asked + 1)]
    return [next(harmful if after > before and harmful else next(others)) for before, after in pairwise(due)]


def _passes(places: list[int], generator: random.Random) -> Iterator[int]:
    """The places, each pass over them in another order, without end."""
    while True:
        yield from generator.sample(places, len(places))
