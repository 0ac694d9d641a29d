"""Which rows of the behaviour-cloning set are taken: rule categories of harmful prompts, and the mixture of parts."""

import math
import random
import re
from collections.abc import Callable, Iterable
from itertools import islice, zip_longest
from typing import Literal, TypeVar

from ascl.chat.messages import Message
from ascl.chat.phrases import fill
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Pair, Row
from ascl.recipes.build import Workshop
from ascl.rules.book import RuleBook
from ascl.sampling.to_file import Job

AnyRow = TypeVar("AnyRow", Row, Pair, Row | Pair)
RATIO = (2, 3, 2)  # the paper's
PARTS = ((Kind.HARMFUL, "consult"), (Kind.SENSITIVE, "consult"), (Kind.SENSITIVE, "direct"))
NO_CATEGORY = "none"

_ASK = """Which of these categories does a request to an assistant belong to?

{listed}

Request:
{request}

Answer with the name of the one category that fits best, and nothing else."""


def label_prompts(prompts: list[Prompt], by: Literal["search", "model"], workshop: Workshop) -> dict[str, str]:
    """The rule category of each prompt by prompt id; a prompt whose request failed for good is left out.

    A prompt that names a category of the rule book itself keeps it. Else it is the category of the rule that fits the
    prompt best (`search`), or what the workshop's model says (`model`; where its reply names no category: by search).
    """
    book = workshop.tool.book
    titles = {rule.category: rule.title for rule in book.rules}
    labels = {prompt.id: prompt.category for prompt in prompts if prompt.category in titles}
    others = [prompt for prompt in prompts if prompt.id not in labels]
    if by == "search":
        return labels | {prompt.id: search_label(prompt, book) for prompt in others}
    replies = workshop.sample("labels", [Job(prompt.id, label_messages(prompt, titles)) for prompt in others])
    for prompt in others:
        if prompt.id in replies:
            labels[prompt.id] = read_label(replies[prompt.id].answer or "", titles) or search_label(prompt, book)
    return labels


def search_label(prompt: Prompt, book: RuleBook) -> str:
    """The category of the rule that fits the prompt best, `none` where no rule does."""
    found = book.nearest(prompt.text, 1)
    return found[0][0].category if found else NO_CATEGORY


def label_messages(prompt: Prompt, titles: dict[str, str]) -> list[Message]:
    """What the model is asked: the titles of all categories, and the request."""
    listed = "\n".join(f"- {title}" for title in titles.values())
    return [Message(role="user", content=fill(_ASK, listed=listed, request=prompt.text))]


def read_label(reply: str, titles: dict[str, str]) -> str | None:
    """The category that a reply names by its title or its id, alone on the last line; None where it names none."""
    last = next(iter(reply.strip().splitlines()[::-1]), "")
    name = re.sub(r"^category:", "", last.strip(" \t.*_-`\"'").casefold()).strip(" .*_`\"'")
    names = {title.casefold(): category for category, title in titles.items()} | {c.casefold(): c for c in titles}
    return names.get(name)


def take_evenly(rows: Iterable[AnyRow], count: int, group: Callable[[AnyRow], str], seed: int) -> list[AnyRow]:
    """`count` rows, one of each group in turn until none is left. Which ones hangs on their ids and the seed alone."""
    generator = random.Random(seed)
    groups: dict[str, list[AnyRow]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        groups.setdefault(group(row), []).append(row)
    members = [groups[name] for name in sorted(groups)]
    for group_rows in members:
        generator.shuffle(group_rows)
    generator.shuffle(members)
    turns = (row for turn in zip_longest(*members) for row in turn if row is not None)
    return list(islice(turns, count))


def parts_of(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each of the three parts of the mixture."""
    rows = list(rows)
    return [[row for row in rows if (row.kind, row.mode) == part] for part in PARTS]


def mix(rows: list[Row], shares: tuple[int, int, int], seed: int) -> list[Row]:
    """Mix harmful+consult : sensitive+consult : sensitive+direct, and add every direct plain and reasoning row.

    The scarcest part is taken whole and the others rounded up; a part without rows leaves the other two empty as well.
    Harmful rows are taken evenly from the categories in their provenance.
    """
    parts = parts_of(rows)
    scarce, of = min(((len(part), share) for part, share in zip(parts, shares, strict=True)), key=lambda p: p[0] / p[1])
    taken = [row for row in rows if row.kind in (Kind.PLAIN, Kind.REASONING) and row.mode == "direct"]
    for part, share in zip(parts, shares, strict=True):
        taken += take_evenly(part, math.ceil(scarce * share / of), _category, seed)
    return sorted(taken, key=lambda row: row.id)


def mix_warning(rows: list[Row], mixed: list[Row]) -> str | None:
    """What to tell where the mixture leaves out most of the accepted rows of its parts; None where it does not.

    The ratio that keeps every row is that of the parts' own sizes, in lowest terms.
    """
    counts = [len(part) for part in parts_of(rows)]
    accepted, kept = sum(counts), sum(map(len, parts_of(mixed)))
    if 2 * kept >= accepted:
        return None
    listed = ", ".join(f"{n} {kind.value} and {mode}" for n, (kind, mode) in zip(counts, PARTS, strict=True))
    told = f"{accepted} rows were accepted and {kept} are kept ({listed})"
    if 0 in counts:
        return f"{told}; a part without rows leaves the others empty: add prompts that give such rows"
    ratio = ":".join(str(count // math.gcd(*counts)) for count in counts)
    return f"{told}; `ascl data build` with --set ratio={ratio} keeps all; more prompts for the scarcest part help too"


def _category(row: Row) -> str:
    return str(row.provenance.get("category")) if row.kind is Kind.HARMFUL else ""
