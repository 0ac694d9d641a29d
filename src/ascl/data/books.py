"""Counterfactual books: every training prompt is asked under a rule book of its own, so that only the book can tell
what is right (after RePolicy's perturbed policy libraries, which train a guard; here an assistant).

off     the book as it is
mild    the book without some categories that the prompt is not about
full    besides, with up to three house rules that have nothing to do with it (decoys); and the house prompts, each with
        its rule in the book (to be refused) and without it (to be answered)
hard    besides, the house prompts with a near miss in the book (to be answered): a rule that the look-up returns, since
        it shares a word with the prompt, and that is about something else

The right answer to a harmful prompt never changes: nobody is taught to help with harm where its rule is missing.
"""

import random
from collections.abc import Iterable, Sequence
from typing import Literal

from ascl.data.house import HousePrompt, HouseRule, load_house
from ascl.data.prompt import Prompt
from ascl.rules.edit import BookEdit
from ascl.rules.rule import Rule

Books = Literal["off", "mild", "full", "hard"]
HOUSE = ("full", "hard")  # those with house rules
MOST_DECOYS = 3
LEAST_KEPT = 0.3  # the smallest share of the other categories that stay in a book, on average


def counterfactual(prompts: Iterable[Prompt], books: Books, categories: Sequence[str], seed: int) -> list[Prompt]:
    """The prompts, each with a book of its own; the same for the same prompt id and seed.

    categories: of the rule book. A prompt's own category stays, and what its book adds. Decoys are house rules of other
    categories.
    """
    if books == "off":
        return list(prompts)
    decoys = [one.rule for one in load_house("train")] if books in HOUSE else []
    return [_perturbed(prompt, categories, decoys, random.Random(f"{seed} {prompt.id}")) for prompt in prompts]


def _perturbed(prompt: Prompt, categories: Sequence[str], decoys: list[Rule], rng: random.Random) -> Prompt:
    kept = rng.uniform(LEAST_KEPT, 1)
    without = tuple(f"{one}.*" for one in categories if one != prompt.category and rng.random() > kept)
    others = [rule for rule in decoys if rule.category != prompt.category]
    add = prompt.book.add if prompt.book else ()
    add += tuple(rng.sample(others, rng.randint(0, min(MOST_DECOYS, len(others)))))
    return prompt.model_copy(update={"book": BookEdit(without=without, add=add)})


def house_prompts(books: Books, without: Iterable[str] = ()) -> list[Prompt]:
    """The house prompts for RL: forbidden and free, and `hard` with a near miss. without: ids to leave out."""
    if books not in HOUSE:
        return []
    gone, asked = set(without), []
    for rule in load_house("train"):
        for one in rule.prompts:
            asked += [rule.asked(one, forbidden=True), rule.asked(one, forbidden=False)]
            asked += [rule.asked_near(one)] if books == "hard" else []
    return [prompt for prompt in asked if prompt.id not in gone]


def shown_house(seed: int) -> list[tuple[HouseRule, HousePrompt]]:
    """The house prompts for cloning: one of each rule, by the seed; the others are left to RL."""
    rng = random.Random(seed)
    return [(rule, rng.choice(rule.prompts)) for rule in load_house("train")]
