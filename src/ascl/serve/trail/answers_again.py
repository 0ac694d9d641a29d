"""Stage two of a replay: kept conversations that an edit touches, asked again under the old and the edited book.

Both answers are new and come from the loop of the gateway, with the request's own settings and one seed for both. Where
its temperature is not 0, answers also differ by chance: such flips go both ways, and the difference is held against
them.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from pydantic import BaseModel, ConfigDict, ValidationError

from ascl.chat.messages import Trajectory
from ascl.consult.tool import ConsultTool
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError
from ascl.judges.judge import Case, Judge, judge_all
from ascl.judges.verdict import Refusal, Verdict
from ascl.models.retry import RequestFailed
from ascl.rules.book import RuleBook
from ascl.sampling.job import seed_of
from ascl.serve.books import Pinned, version_of
from ascl.serve.loop import Choice, LoopSettings
from ascl.serve.trail.contents import Conversation, Kept
from ascl.serve.trail.training_data import SOURCE, prompt_messages
from ascl.serve.upstream import Upstream
from ascl.stats import Estimate, bootstrap_mean, proportion

TOGETHER = 16  # conversations under way
Pair = tuple[Trajectory | str, Trajectory | str]  # answers before and after an edit, or why there is none
REFUSALS = (Refusal.FULL_REFUSAL, Refusal.PARTIAL_REFUSAL)


@dataclass
class Touched:
    """Conversations whose look-ups give the model something else to read under the edited book.

    count: of all of them. chosen: a sample. left_out: of the others, and of those not drawn, why.
    """

    count: int = 0
    chosen: list[tuple[Kept, Conversation, Prompt]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


class Flips(BaseModel):
    """What became of the conversations that were asked again: refused (in full or in part) or not, before and after.

    touched: the conversations whose look-ups the edit changes. judged: those with both answers judged; the shares are
    of these. difference: the share refused after the edit minus that before it, with a percentile bootstrap over the
    pairs. newly_refused, newly_answered: the ids of requests. left_out: every other conversation that was kept, and
    why.
    """

    model_config = ConfigDict(extra="forbid")

    touched: int
    judged: int
    before: Estimate
    after: Estimate
    difference: Estimate
    flipped: Estimate
    newly_refused: list[str]
    newly_answered: list[str]
    left_out: dict[str, int]


def ask_again(
    past: Iterable[Kept],
    books: tuple[RuleBook, RuleBook],
    top_k: int,
    model: str,
    upstream: Upstream,
    judge: Judge,
    most: int,
    seed: int,
) -> Flips:
    """Draw at most `most` conversations, ask them again under the old and the edited book, and judge the answers.

    Raises InputError where the model's server is not there.
    """
    old, edited = (ConsultTool(book, top_k) for book in books)
    found = touched(past, old, edited, most, seed)
    pinned = tuple(Pinned("default", version_of(tool), tool) for tool in (old, edited))

    async def answered() -> list[Pair]:
        try:
            if not await upstream.ready():
                raise InputError("--upstream: the model's server does not answer")
            return await answers_again(found, pinned, model, upstream, seed)
        finally:
            await upstream.close()

    return flips(found, asyncio.run(answered()), judge, seed)


def touched(past: Iterable[Kept], old: ConsultTool, edited: ConsultTool, most: int, seed: int) -> Touched:
    """The conversations that an edit touches: a uniform sample of `most`, with one in memory at a time besides.

    The sample is drawn by a reservoir (algorithm R; Vitter, TOMS 11, 1985) and hangs on the seed and the trail alone.
    """
    found, dice = Touched(), random.Random(seed)
    for kept in past:
        said = kept.conversation
        reason = "the tenant's key was destroyed" if said is None else _untouched(said, old, edited)
        prompt = None if said is None or reason else _prompt(kept, said)
        if said is None or prompt is None:
            found.left_out[reason or "its last message is no text of the user"] += 1
            continue
        found.count += 1
        if len(found.chosen) < most:
            found.chosen.append((kept, said, prompt))
            continue
        found.left_out["not drawn"] += 1
        place = dice.randrange(found.count)
        if place < most:
            found.chosen[place] = kept, said, prompt
    return found


def _untouched(said: Conversation, old: ConsultTool, edited: ConsultTool) -> str | None:
    """Why no look-up of a conversation would read anything else; None where one does."""
    asked = {(one.query, one.top_k) for answer in said.answers for one in answer.trajectory.consultations}
    if not asked:
        return "nothing was looked up"
    same = all(_read(old, *one) == _read(edited, *one) for one in asked)
    return "its look-ups read the same in both books" if same else None


def _read(tool: ConsultTool, query: str, top_k: int) -> list[tuple[str, str]]:
    return [(hit.id, hit.shown) for hit in tool.hits(tool.book.search(query, top_k))]


def _prompt(kept: Kept, said: Conversation) -> Prompt | None:
    try:
        messages = prompt_messages(said, said.answers[0].trajectory)
        return Prompt(id=kept.id, messages=messages, kind=Kind.SENSITIVE, source=SOURCE)
    except ValidationError:
        return None


async def answers_again(
    found: Touched, books: Sequence[Pinned], model: str, upstream: Upstream, seed: int
) -> list[Pair]:
    """New answers to the sample under both books (the old one first), or why there is none."""
    room = asyncio.Semaphore(TOGETHER)

    async def both(kept: Kept, said: Conversation) -> Pair:
        own = said.asked.seed
        chosen = seed_of(seed, kept.id) if own is None else own
        async with room:
            answers = [_answer(said, book, model, upstream, chosen) for book in books]
            before, after = await asyncio.gather(*answers)
            return before, after

    return await asyncio.gather(*(both(kept, said) for kept, said, _ in found.chosen))


def flips(found: Touched, pairs: Sequence[Pair], judge: Judge, seed: int) -> Flips:
    """What the judge makes of the answers to the sample."""
    left_out, cases = Counter(found.left_out), dict[str, list[Case]]()
    for (kept, _, prompt), pair in zip(found.chosen, pairs, strict=True):
        answered = [Case(prompt, one) for one in pair if isinstance(one, Trajectory)]
        if len(answered) == len(pair):
            cases[kept.id] = answered
        else:
            left_out[next(one for one in pair if isinstance(one, str))] += 1
    verdicts = iter(judge_all(judge, [case for both in cases.values() for case in both]))
    refused: dict[str, tuple[bool, bool]] = {}
    for id in cases:
        before, after = _refused(next(verdicts)), _refused(next(verdicts))
        if isinstance(before, bool) and isinstance(after, bool):
            refused[id] = before, after
        else:
            left_out[before if isinstance(before, str) else str(after)] += 1
    return _figures(found.count, refused, left_out, seed)


async def _answer(said: Conversation, pinned: Pinned, model: str, upstream: Upstream, seed: int) -> Trajectory | str:
    """A new answer under a book, or why there is none."""
    choice = Choice(replace(said.asked, n=1), model, "ascl", seed, pinned, upstream, LoopSettings())
    try:
        async with aclosing(choice.pieces()) as pieces:
            async for _ in pieces:
                pass
    except RequestFailed as failed:
        return f"the request failed ({failed.kind})"
    trajectory = choice.walked.trajectory
    return "no answer" if trajectory.answer is None else trajectory


def _refused(verdict: Verdict | None) -> bool | str:
    """Whether an answer refuses, or why that is not known."""
    if verdict is None or verdict.refusal is None:
        return "no readable verdict"
    return "off-topic" if verdict.refusal is Refusal.OFF_TOPIC else verdict.refusal in REFUSALS


def _figures(count: int, refused: dict[str, tuple[bool, bool]], left_out: Counter[str], seed: int) -> Flips:
    pairs: Sequence[tuple[bool, bool]] = list(refused.values())
    return Flips(
        touched=count,
        judged=len(pairs),
        before=proportion([before for before, _ in pairs]),
        after=proportion([after for _, after in pairs]),
        difference=bootstrap_mean({id: [float(after) - before] for id, (before, after) in refused.items()}, seed),
        flipped=proportion([before != after for before, after in pairs]),
        newly_refused=[id for id, (before, after) in refused.items() if after and not before],
        newly_answered=[id for id, (before, after) in refused.items() if before and not after],
        left_out=dict(left_out),
    )
