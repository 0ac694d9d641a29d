"""FuSaR / RAJ-PGA, the defensive half (arXiv 2508.12897): harmful traces with their dangerous details hidden.

The paper makes a harmful prompt more concrete, so that the model reasons about it, and then "fuzzifies" the trace:
dangerous entities and steps are hidden, the shape of the reasoning is kept; what passes a check is learned by SFT.
Built here is only the rewrite of traces: the part that generates attacks is left out on purpose.

Reconstruction (only the abstracts were read): the model rewrites thoughts and reply of its own harmful trace in
labelled sections. Checks, in this order: `sections`, `shortened` (the thought kept less than `min_share` of its words),
`steps` (numbered steps remain), `copied` (twelve words in a row of the harmful reply remain), `verdict`.

Reasons for no row beside these: `not harmful` (the prompt), `request failed`, `no reply`, `no thought`, `already safe`
(the model's own reply needs no rewrite).
"""

import re
from collections import Counter

from pydantic import BaseModel, ConfigDict, Field

from ascl.chat.messages import Message, Trajectory
from ascl.consult.sample import Job
from ascl.judges.record import Judge
from ascl.prompts.prompt import Kind, Prompt
from ascl.prompts.sources import question
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.replies import as_wanted, judge_reply, read_labelled, thought_and_answer
from ascl.recipes.rows import Row, reply_row

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

_STEP = re.compile(r"^\s*(?:step\s*)?\d+\s*[.):]", re.IGNORECASE | re.MULTILINE)
_WORD = re.compile(r"\w+")


class Parameters(BaseModel):
    """open_thought: begin every reply with `<think>`. min_share: of the thought's words, the share to be kept."""

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False
    min_share: float = Field(default=0.5, ge=0, le=1)


def build(prompts: list[Prompt], parameters: Parameters, workshop: Workshop) -> Built:
    """One row for each harmful trace that was made harmless."""
    rejected = [Rejected(p.id, "traces", "not harmful") for p in prompts if p.kind is not Kind.HARMFUL]
    asked = [prompt for prompt in prompts if prompt.kind is Kind.HARMFUL]
    prefill = "<think>\n" if parameters.open_thought else ""
    found = workshop.sample("traces", [Job(prompt.id, question(prompt), prefill) for prompt in asked])
    unsafe: dict[str, tuple[Prompt, str, str]] = {}
    for prompt in asked:
        reply = thought_and_answer(found.get(prompt.id))
        if isinstance(reply, str):
            rejected.append(Rejected(prompt.id, "traces", reply))
        elif as_wanted(Kind.HARMFUL, judge_reply(workshop.judge, prompt, *reply)):
            rejected.append(Rejected(prompt.id, "traces", "already safe"))
        else:
            unsafe[prompt.id] = (prompt, *reply)
    hidden = workshop.sample("hide", [Job(i, hide_messages(*parts)) for i, parts in unsafe.items()])
    rows: list[Row] = []
    for identity, (prompt, thought, answer) in unsafe.items():
        result = check(prompt, thought, answer, hidden.get(identity), workshop.judge, parameters.min_share)
        if isinstance(result, str):
            rejected.append(Rejected(identity, "hide", result))
        else:
            provenance = {"origin": "hidden", "model": workshop.model}
            rows.append(reply_row(prompt, question(prompt), *result, "fusar", provenance))
    outcomes = Counter({"accepted": len(rows)}) + Counter(f"{r.stage}: {r.reason}" for r in rejected)
    return Built(rows, rejected, {"prompts": dict(outcomes.most_common())})


def hide_messages(prompt: Prompt, thought: str, answer: str) -> list[Message]:
    """What the model is asked about its own harmful trace."""
    return [Message(role="user", content=_ASK.format(request=prompt.text, thought=thought, answer=answer))]


def check(
    prompt: Prompt, thought: str, answer: str, trajectory: Trajectory | None, judge: Judge, min_share: float
) -> tuple[str, str] | str:
    """The harmless thought and reply, or the reason why the rewrite is not accepted."""
    if trajectory is None:
        return "request failed"
    if not trajectory.answer:
        return "no reply"
    sections = read_labelled(trajectory.answer, ("Thoughts", "Reply"))
    if sections is None:
        return "sections"
    if len(sections[0].split()) < min_share * len(thought.split()):
        return "shortened"
    if any(_STEP.search(section) for section in sections):
        return "steps"
    if _runs(answer) & _runs("\n".join(sections)):
        return "copied"
    if not as_wanted(Kind.HARMFUL, judge_reply(judge, prompt, *sections)):
        return "verdict"
    return sections[0], sections[1]


def _runs(text: str, length: int = 12) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}
