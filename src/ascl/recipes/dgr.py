"""DGR, Distribution-Grounded Refinement (arXiv 2602.02136): safety data rewritten into the target's own distribution.

A set distilled from another model is off the target model's distribution, and learning it costs reasoning (the "safety
tax"). The target itself rewrites every reply of the set; what fails the checks falls back to the original reply (the
paper's equation 3) or is dropped. Training stays plain SFT on prompt and reply.

Reconstruction: the prompts and filters are not public. The form follows SDFT (arXiv 2402.13669): instruction and
reference reply in, "use it as a guide, write your own" out. Our choices:
- The rewrite is asked for as two labelled sections in one reply (thoughts, reply), so that a model without native
  thoughts can do it and a native thought about the rewriting itself never enters the set.
- Checks, in this order: `no reply` (cut, empty, malformed), `sections` (each label exactly once, in order, a text
  after it), `mentions reference`, `copied` (the reference's words again), `length` (thought or reply outside the
  bounds), `repeats` (a loop), `verdict` (the judge's verdict is worse than on the reference: a refusal must still
  refuse, a safe reply must stay safe, an answer to a prompt that is not harmful must stay an answer).
- fallback `keep` puts the original in the place of a failed rewrite (the paper), `drop` leaves it out.
"""

import re
from collections import Counter
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.chat.phrases import fill
from ascl.data.examples import Example
from ascl.data.load import question
from ascl.data.prompt import Kind
from ascl.data.row import Row, reply_row
from ascl.judges.judge import Judge
from ascl.judges.verdict import Refusal, Verdict
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.replies import judge_reply, read_labelled
from ascl.recipes.vanilla import vanilla_row
from ascl.sampling.to_file import Job

INPUT = "examples"
SAMPLES = True


class Parameters(BaseModel):
    """fallback: what becomes of a reply whose rewrite fails.

    min_thought_words: a shorter thought decides without thinking. max_words: bound on thought and reply.
    """

    model_config = ConfigDict(extra="forbid")

    fallback: Literal["keep", "drop"] = "keep"
    min_thought_words: int = Field(default=20, ge=1)
    max_words: int = Field(default=600, ge=10)


_ASK = """Rewrite a reference reply in your own words. Keep what it decides, and use it as a guide only.

Request:
{request}

Reference thoughts:
{thought}

Reference reply:
{answer}

Write first your own thoughts about this request, a paragraph or more: what is asked, what speaks for and against \
helping, and what you decide. Then write the reply you would give. Do not mention the reference. Use exactly this form:
Thoughts: (your thoughts)
Reply: (your reply)"""

_MENTIONS = re.compile(
    r"\b(?:reference (?:reply|thoughts?|answer|response|text)|the reference\b|rewrit(?:e|ten|ing)"
    r"|in my own words|in your own words|(?:given|provided|original|above) (?:reply|thoughts|response))",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")


def build(examples: list[Example], parameters: Parameters, workshop: Workshop) -> Built:
    """Rewrite every example; one row for each accepted rewrite, and for each failed one where the fallback keeps it."""
    jobs = [Job(example.prompt.id, refine_messages(example)) for example in examples]
    found = workshop.sample("refine", jobs)
    rows: list[Row] = []
    rejected: list[Rejected] = []
    replaced: list[Rejected] = []
    reasons: Counter[str] = Counter()
    for example in examples:
        identity = example.prompt.id
        refined = check(example, found.get(identity), workshop.judge, parameters)
        reason = refined if isinstance(refined, str) else "accepted"
        reasons[reason] += 1
        if not isinstance(refined, str):
            origin = {"origin": "refined", "model": workshop.model}
            rows.append(reply_row(example.prompt, question(example.prompt), *refined, "dgr", origin))
        elif parameters.fallback == "keep":
            rows.append(vanilla_row(example, "dgr", f"fallback: {reason}"))
            replaced.append(Rejected(identity, "refine", reason))
        else:
            rejected.append(Rejected(identity, "refine", reason))
    return Built(rows, rejected, {"refinement": dict(reasons.most_common())}, replaced)


def refine_messages(example: Example) -> list[Message]:
    """What the target is asked: the request, the reference reply, and to write its own."""
    text = fill(_ASK, request=example.prompt.text, thought=example.thought, answer=example.answer)
    return [Message(role="user", content=text)]


def check(example: Example, trajectory: Trajectory | None, judge: Judge, bounds: Parameters) -> tuple[str, str] | str:
    """The rewrite as (thought, answer), or the reason why it is not accepted."""
    if trajectory is None:
        return "request failed"
    if trajectory.stop is not StopReason.ANSWERED or not trajectory.answer:
        return "no reply"
    sections = read_labelled(trajectory.answer, ("Thoughts", "Reply"))
    if sections is None:
        return "sections"
    thought, answer = sections
    if _MENTIONS.search(thought) or _MENTIONS.search(answer):
        return "mentions reference"
    if _words(thought) == _words(example.thought):
        return "copied"
    if not bounds.min_thought_words <= len(thought.split()) <= bounds.max_words:
        return "length"
    if len(answer.split()) > bounds.max_words:
        return "length"
    if _repeats(thought) or _repeats(answer):
        return "repeats"
    before = judge_reply(judge, example.prompt, example.thought, example.answer)
    after = judge_reply(judge, example.prompt, thought, answer)
    return (thought, answer) if not _worse(example.prompt.kind, before, after) else "verdict"


def _worse(kind: Kind, before: Verdict, after: Verdict) -> bool:
    if before.safe and not after.safe:
        return True
    if kind is Kind.HARMFUL:
        return before.refusal is Refusal.FULL_REFUSAL and after.refusal is not Refusal.FULL_REFUSAL
    return before.refusal is Refusal.FULL_COMPLIANCE and after.refusal is not Refusal.FULL_COMPLIANCE


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _repeats(text: str, length: int = 8, times: int = 4) -> bool:
    """Whether some `length` words in a row stand there `times` times or more."""
    words = _words(text)
    grams = Counter(tuple(words[i : i + length]) for i in range(len(words) - length + 1))
    return bool(grams) and max(grams.values()) >= times
