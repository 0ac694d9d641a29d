"""DGR, Distribution-Grounded Refinement (arXiv 2602.02136): safety data rewritten into the target's own distribution.

A set distilled from another model is off the target model's distribution, and learning it costs reasoning (the "safety
tax"). The target itself rewrites every reply of the set, harmful and benign prompts alike; what fails the checks falls
back to the original reply (the paper's equation 3). Training stays plain SFT on prompt and reply.

Reconstruction: the prompts and filters are not public. After SDFT (arXiv 2402.13669): instruction and reference reply
in, "use it as a guide, write your own" out. Our choices:
- `form`: `sections` asks for thoughts and reply as two labelled sections of one reply, so that a model without native
  thoughts can do it, and a native thought about the rewriting never enters the set. In `native` the model's own thought
  and answer are taken as they come: that is how it thinks when it is trained. `shift.py` tells which lies nearer.
- What fails is asked again (`ladder.py`), from the third attempt on more firmly.
- Checks, in this order: `no reply` (cut, empty, malformed), `sections` (each label exactly once, in order, a text
  after it) or `no thought`, `mentions reference`, `copied` (the reference's words again), `repeats` (a loop), `verdict`
  (the judge says worse of thought and answer than of the reference: a refusal must still refuse, a safe reply must stay
  safe, an answer to a prompt that is not harmful must stay an answer), `length` (thought or reply outside the bounds).
- `fallback` `keep` puts the original in the place of a failed rewrite (the paper), `drop` leaves it out, `graft`
  (arXiv 2609.04482) gives a harmful prompt an accepted refusal of another one: of those that share few words with their
  own prompt, each at most five times; without one (`no graft`), and on other prompts, there is no row.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ascl.chat.messages import Message, Trajectory
from ascl.chat.phrases import fill
from ascl.data.examples import Example
from ascl.data.load import question
from ascl.data.prompt import Kind
from ascl.data.row import Row, reply_row
from ascl.judges.judge import Judge
from ascl.judges.verdict import Refusal, Verdict
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.ladder import ATTEMPTS, STRONGER, Climbed, climb, sampling_of
from ascl.recipes.replies import (
    Reply,
    judge_replies,
    judge_whole,
    outcomes,
    read_labelled,
    whole_answer,
    why_none,
)
from ascl.recipes.vanilla import vanilla_row
from ascl.sampling.to_file import Job

INPUT = "examples"
SAMPLES = True

USES = 5  # of one grafted refusal
OVERLAP = 0.2  # share of its own prompt's words that a grafted refusal may hold

Form = Literal["sections", "native"]


class Parameters(BaseModel):
    """form: where the rewrite stands. attempts: at most so many a reply. fallback: what becomes of one that all fail.

    min_thought_words: a shorter thought decides without thinking. max_words: bound on thought and reply.
    """

    model_config = ConfigDict(extra="forbid")

    form: Form = "sections"
    attempts: int = Field(default=ATTEMPTS, ge=1, le=ATTEMPTS)
    fallback: Literal["keep", "drop", "graft"] = "keep"
    min_thought_words: int = Field(default=20, ge=1)
    max_words: int = Field(default=1500, ge=10)


_SHOWN = """Request:
{request}

Reference thoughts:
{thought}

Reference reply:
{answer}

"""
_ASK = f"""Rewrite a reference reply in your own words. Keep what it decides, and use it as a guide only.

{_SHOWN}Write first your own thoughts about this request, a paragraph or more: what is asked, what speaks for and \
against helping, and what you decide. Then write the reply you would give. Do not mention the reference.{{firmly}} Use \
exactly this form:
Thoughts: (your thoughts)
Reply: (your reply)"""
_NATIVE = f"""Reply to a request. You are shown how somebody else thought about it and replied.

{_SHOWN}Think the request through yourself, then reply to it in your own words, to the user who asked. Decide as the \
reference does; it is a guide only. Mention it neither in your thoughts nor in your reply.{{firmly}}"""
_FIRMLY = (
    " An earlier attempt could not be used: keep to what the reference decides, end your reply, and do not speak of a "
    "reference or of rewriting."
)

_MENTIONS = re.compile(
    r"\b(?:reference (?:reply|thoughts?|answer|response|text)|the reference\b|rewrit(?:e|ten|ing)"
    r"|in my own words|in your own words|(?:given|provided|original|above|suggested) (?:reply|thoughts|response)"
    r"|somebody else(?:'s)? (?:thought|reply|replied))",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")


def build(examples: list[Example], parameters: Parameters, workshop: Workshop) -> Built:
    """Rewrite every example; one row for each accepted rewrite, and what the fallback makes of the others."""
    climbed = rewrites(examples, parameters, workshop)
    prompts = [example.prompt for example in examples]
    failed = [example for example in examples if example.prompt.id not in climbed.accepted]
    grafts = grafted(failed, climbed.accepted, workshop.judge) if parameters.fallback == "graft" else {}
    rows: list[Row] = []
    rejected: list[Rejected] = []
    replaced: list[Rejected] = []
    for example in examples:
        identity = example.prompt.id
        if reply := climbed.accepted.get(identity) or grafts.get(identity):
            made = {"origin": "refined", "model": workshop.model, "judge": workshop.judge.name}
            made |= {"origin": "grafted", "from": reply.prompt.id} if identity in grafts else {}
            made |= {"stage": climbed.rungs[reply.prompt.id]}
            rows.append(reply_row(example.prompt, question(example.prompt), reply.thought, reply.answer, "dgr", made))
            continue
        why = climbed.rejected[identity]
        if parameters.fallback == "keep":
            rows.append(vanilla_row(example, "dgr", f"fallback: {why.reason}"))
            replaced.append(why)
        elif parameters.fallback == "graft" and example.prompt.kind is Kind.HARMFUL:
            rejected.append(Rejected(identity, "graft", "no graft"))
        else:
            rejected.append(why)
    harmful = [prompt.id for prompt in prompts if prompt.kind is Kind.HARMFUL]
    report: dict[str, dict[str, int | float]] = {
        "refinement": outcomes(prompts, list(climbed.rejected.values())),
        "harmful prompts covered after": climbed.coverage(harmful),
        "other prompts covered after": climbed.coverage([p.id for p in prompts if p.kind is not Kind.HARMFUL]),
        "failed attempts": dict(climbed.failures.most_common()),
    }
    return Built(rows, rejected, report, replaced)


def rewrites(examples: Sequence[Example], parameters: Parameters, workshop: Workshop) -> Climbed[Reply]:
    """The rewrites that pass, each after at most `attempts` attempts, and why the others do not."""
    by_id = {example.prompt.id: example for example in examples}

    def attempt(stage: str, number: int, left: list[str]) -> tuple[dict[str, Reply], list[Rejected]]:
        asked = [by_id[i] for i in left]
        jobs = [Job(e.prompt.id, refine_messages(e, parameters.form, number >= STRONGER)) for e in asked]
        found = workshop.sample(stage, jobs, sampling=sampling_of(workshop.sampling, number))
        checked = check(asked, found, workshop.judge, parameters)
        passed = {identity: reply for identity, reply in checked.items() if isinstance(reply, Reply)}
        failed = [Rejected(identity, stage, why) for identity, why in checked.items() if isinstance(why, str)]
        return passed, failed

    return climb("refine", list(by_id), parameters.attempts, attempt)


def refine_messages(example: Example, form: Form = "sections", firmly: bool = False) -> list[Message]:
    """What the target is asked: the request, the reference reply, and to write its own."""
    template = _NATIVE if form == "native" else _ASK
    shown = {"request": example.prompt.text, "thought": example.thought, "answer": example.answer}
    text = fill(template, **shown, firmly=_FIRMLY if firmly else "")
    return [Message(role="user", content=text)]


def check(
    examples: Sequence[Example], found: dict[str, Trajectory], judge: Judge, parameters: Parameters
) -> dict[str, Reply | str]:
    """The rewrite of each example by prompt id, or the reason why it is not accepted."""
    checked: dict[str, Reply | str] = {e.prompt.id: _read(e, found.get(e.prompt.id), parameters.form) for e in examples}
    read = [(example, reply) for example in examples if isinstance(reply := checked[example.prompt.id], Reply)]
    before = judge_whole(judge, [Reply(example.prompt, example.thought, example.answer) for example, _ in read])
    after = judge_whole(judge, [reply for _, reply in read])
    for (example, reply), old, new in zip(read, before, after, strict=True):
        thought, answer = len(reply.thought.split()), len(reply.answer.split())
        if _worse(example.prompt.kind, old, new):
            checked[example.prompt.id] = "verdict"
        elif not parameters.min_thought_words <= thought <= parameters.max_words or answer > parameters.max_words:
            checked[example.prompt.id] = "length"
    return checked


def _read(example: Example, trajectory: Trajectory | None, form: Form) -> Reply | str:
    """The rewrite as its text shows it, or why it is none."""
    text = whole_answer(trajectory)
    if trajectory is None or not text:
        return why_none(trajectory)
    if form == "native":
        thought, answer = (trajectory.messages[-1].reasoning_content or "").strip(), text
        if not thought:
            return "no thought"
    else:
        sections = read_labelled(text, ("Thoughts", "Reply"))
        if sections is None:
            return "sections"
        thought, answer = sections
    if _MENTIONS.search(thought) or _MENTIONS.search(answer):
        return "mentions reference"
    if _words(thought) == _words(example.thought):
        return "copied"
    if _repeats(thought) or _repeats(answer):
        return "repeats"
    return Reply(example.prompt, thought, answer)


def _worse(kind: Kind, before: Verdict, after: Verdict) -> bool:
    if before.safe and not after.safe:
        return True
    if kind is Kind.HARMFUL:
        return before.refusal is Refusal.FULL_REFUSAL and after.refusal is not Refusal.FULL_REFUSAL
    return before.refusal is Refusal.FULL_COMPLIANCE and after.refusal is not Refusal.FULL_COMPLIANCE


def grafted(failed: Sequence[Example], accepted: dict[str, Reply], judge: Judge) -> dict[str, Reply]:
    """For harmful prompts without a rewrite an accepted refusal of another prompt, by prompt id.

    Those with the smallest overlap with their own prompt (at most `OVERLAP`) come first, each `USES` times at most.
    """
    harmful = [reply for _, reply in sorted(accepted.items()) if reply.prompt.kind is Kind.HARMFUL]
    donors = [
        (overlap(reply), reply.prompt.id, reply)
        for reply, verdict in zip(harmful, judge_replies(judge, harmful), strict=True)
        if verdict.refusal is Refusal.FULL_REFUSAL and overlap(reply) <= OVERLAP
    ]
    replies = [reply for _, _, reply in sorted(donors, key=lambda donor: donor[:2])]
    without = sorted(example.prompt.id for example in failed if example.prompt.kind is Kind.HARMFUL)
    return dict(zip(without, islice(cycle(replies), USES * len(replies)), strict=False))


def overlap(reply: Reply) -> float:
    """|P and R| / |P|: P the words of the prompt with four letters or more, R all words of thought and answer."""
    asked = {word for word in _words(reply.prompt.text) if len(word) > 3}
    said = {*_words(reply.thought), *_words(reply.answer)}
    return len(asked & said) / max(len(asked), 1)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _repeats(text: str, length: int = 8, times: int = 4) -> bool:
    """Whether some `length` words in a row stand there `times` times or more."""
    words = _words(text)
    grams = Counter(tuple(words[i : i + length]) for i in range(len(words) - length + 1))
    return bool(grams) and max(grams.values()) >= times
