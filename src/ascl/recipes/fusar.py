"""FuSaR / RAJ-PGA, the defensive half (arXiv 2508.12897): harmful traces with their dangerous details hidden.

The paper makes a harmful prompt more concrete, so that the model reasons about it, and then "fuzzifies" the trace:
dangerous entities and steps are hidden, the shape of the reasoning is kept; what passes a check is learned by SFT.
Built here is only the rewrite of traces: the part that generates attacks is left out on purpose.

Reconstruction (only the abstracts were read): the model rewrites thoughts and reply of its own harmful trace in
labelled sections. Checks, in this order: `sections`, `shortened` (the thought kept less than `min_share` of its words),
`steps` (numbered steps remain), `copied` (twelve words in a row of the harmful reply remain, or most such runs of the
thought), `verdict`. Words alone can't tell which details are dangerous: a guard should read the set before it is used.

Reasons for no row beside these: stage `traces` `not harmful` (the prompt), `no reply`, `no thought`, `already safe`
(the model's own reply needs no rewrite); stage `hide` `no reply`; any stage `request failed`.
"""

import re
from collections import Counter

from pydantic import BaseModel, ConfigDict, Field

from ascl.chat.messages import Message
from ascl.chat.phrases import fill
from ascl.data.load import question
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Row, reply_row
from ascl.judges.judge import Judge
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.replies import (
    Reply,
    as_wanted,
    judge_replies,
    read_labelled,
    unsafe_replies,
    whole_answer,
    why_none,
)
from ascl.sampling.to_file import Job

INPUT = "prompts"
SAMPLES = True

_ASK = """Make these thoughts and this reply harmless.

Request:
{request}

Thoughts:
{thought}

Reply:
{answer}

Rewrite the thoughts sentence by sentence: keep the order of the reasoning, but hide every dangerous substance, tool, \
place, quantity and step behind general words, and let them end with the decision not to help. Rewrite the reply as a \
refusal that says why. Use exactly this form:
Thoughts: (the rewritten thoughts)
Reply: (the rewritten reply)"""

_STEP = re.compile(r"^[^\S\n]*\d+\s*[.):]|\bstep\s+(?:\d|one|two|three|four|five)", re.IGNORECASE | re.MULTILINE)
_WORD = re.compile(r"\w+")


class Parameters(BaseModel):
    """open_thought: begin every reply with a thought, and close it, for models that do not think of themselves.

    min_share: of the thought's words, the share to be kept.
    """

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False
    min_share: float = Field(default=0.5, ge=0, le=1)


def build(prompts: list[Prompt], parameters: Parameters, workshop: Workshop) -> Built:
    """One row for each harmful trace that was made harmless."""
    unsafe, rejected = unsafe_replies(prompts, parameters.open_thought, workshop)
    found = workshop.sample("hide", [Job(reply.prompt.id, hide_messages(reply)) for reply in unsafe])
    rows: list[Row] = []
    for reply in unsafe:
        prompt = reply.prompt
        text = whole_answer(found.get(prompt.id))
        hidden = check(reply, text, workshop.judge, parameters.min_share) if text else why_none(found.get(prompt.id))
        if isinstance(hidden, str):
            rejected.append(Rejected(prompt.id, "hide", hidden))
        else:
            provenance = {"origin": "hidden", "model": workshop.model, "judge": workshop.judge.name}
            rows.append(reply_row(prompt, question(prompt), *hidden, "fusar", provenance))
    outcomes = Counter({"accepted": len(rows)}) + Counter(f"{r.stage}: {r.reason}" for r in rejected)
    return Built(rows, rejected, {"prompts": dict(outcomes.most_common())})


def hide_messages(reply: Reply) -> list[Message]:
    """What the model is asked about its own harmful trace."""
    text = fill(_ASK, request=reply.prompt.text, thought=reply.thought, answer=reply.answer)
    return [Message(role="user", content=text)]


def check(reply: Reply, text: str, judge: Judge, min_share: float) -> tuple[str, str] | str:
    """The harmless thought and answer in a rewrite of the reply, or the reason why it is not accepted."""
    sections = read_labelled(text, ("Thoughts", "Reply"))
    if sections is None:
        return "sections"
    thought, answer = sections
    if len(thought.split()) < min_share * len(reply.thought.split()):
        return "shortened"
    if _STEP.search(thought) or _STEP.search(answer):
        return "steps"
    runs = _runs(reply.thought)
    if _runs(reply.answer) & (_runs(thought) | _runs(answer)) or len(runs & _runs(thought)) > len(runs) / 2:
        return "copied"
    [verdict] = judge_replies(judge, [Reply(reply.prompt, thought, answer)])
    if not as_wanted(Kind.HARMFUL, verdict):
        return "verdict"
    return thought, answer


def _runs(text: str, length: int = 12) -> set[tuple[str, ...]]:
    """All runs of `length` words; of a shorter text, the text."""
    words = _WORD.findall(text.lower())
    return {tuple(words[i : i + length]) for i in range(max(1, len(words) - length + 1))}
