"""Counterfactual books: training prompts are asked under edited rule books, so that only the book can tell what is
right (after RePolicy's perturbed policy libraries, which train a guard; here an assistant).

off     the book as it is
mild    sixteen books, each without some categories; a prompt's own category stays in its book
full    the sixteen books also share out house rules; and house prompts are asked with their rule in the book (to be
        refused), without it (to be answered), and with a rule that shares words with them and is about something else

The right answer to a harmful prompt never changes: nobody is taught to help with harm where its rule is missing. The
books are few, so that a micro-batch can hold rows of one book, whose system text is then read once.
"""

import random
from collections.abc import Iterable, Sequence
from typing import Literal

from ascl.data.house import HousePrompt, HouseRule, load_house
from ascl.data.prompt import Prompt
from ascl.rules.edit import BookEdit
from ascl.rules.rule import Rule

Books = Literal["off", "mild", "full"]
COUNT = 16
LEAST_KEPT = 0.3  # the smallest share of the categories that a book keeps, on average


def counterfactual(prompts: Sequence[Prompt], books: Books, categories: Sequence[str], seed: int) -> list[Prompt]:
    """The prompts, each under one of the seed's books.

    categories: of the rule book. The rules that the prompts' own books add are shared out over the books, at most one
    of a category in each. A prompt gets a book that has its category and the rules that its own book adds, and no other
    added rule of its category.
    """
    if books == "off":
        return list(prompts)
    rng = random.Random(seed)
    shelf = _shelf(prompts, categories, rng)
    return [prompt.model_copy(update={"book": _book_for(prompt, shelf, rng)}) for prompt in prompts]


def _shelf(prompts: Sequence[Prompt], categories: Sequence[str], rng: random.Random) -> list[BookEdit]:
    without = []
    for kept in [rng.uniform(LEAST_KEPT, 1) for _ in range(COUNT)]:
        without.append({f"{category}.*" for category in categories if rng.random() > kept})
    added: list[dict[str, Rule]] = [{} for _ in range(COUNT)]
    likely = [rng.random() for _ in range(COUNT)]  # some books have many house rules, others few
    rules = {rule.id: rule for prompt in prompts for rule in (prompt.book.add if prompt.book else ())}
    for rule in rng.sample([*rules.values()], len(rules)):
        free = [i for i in range(COUNT) if rule.category not in added[i] and f"{rule.category}.*" not in without[i]]
        if free:
            (place,) = rng.choices(free, [likely[i] for i in free])
            added[place][rule.category] = rule
    return [
        BookEdit(without=tuple(sorted(gone)), add=tuple(new.values())) for gone, new in zip(without, added, strict=True)
    ]


def _book_for(prompt: Prompt, shelf: list[BookEdit], rng: random.Random) -> BookEdit:
    own = {rule.id for rule in prompt.book.add} if prompt.book else set()
    fitting = [
        book
        for book in shelf
        if f"{prompt.category}.*" not in book.without
        and own <= {rule.id for rule in book.add}
        and own >= {rule.id for rule in book.add if rule.category == prompt.category}
    ]
    return rng.choice(fitting) if fitting else prompt.book or BookEdit()


def house_prompts(without: Iterable[str] = ()) -> list[Prompt]:
    """The house prompts for RL: forbidden, free, and with a rule beside them. without: ids of prompts to leave out."""
    gone = set(without)
    asked = []
    for rule in load_house("train"):
        for one in rule.prompts:
            asked += [rule.asked(one, forbidden=True), rule.asked(one, forbidden=False), rule.asked_near(one)]
    return [prompt for prompt in asked if prompt.id not in gone]


def shown_house(seed: int) -> list[tuple[HouseRule, HousePrompt]]:
    """The house prompts for cloning: one of each rule, by the seed; the others are left to RL."""
    rng = random.Random(seed)
    return [(rule, rng.choice(rule.prompts)) for rule in load_house("train")]
