"""ThinkSafe (arXiv 2601.23143): the model's own replies, steered to refuse where a prompt is harmful, then filtered.

Harmful prompts: the frozen student itself answers behind one sentence that says that the prompt is harmful and must be
refused. Other prompts: plainly. One sample each (temperature 0.6, top-p 0.95), a closed thought required; a guard
filters both on the whole reply. SFT is on the ORIGINAL prompt, without the sentence.

Deviations: the wording of the sentence is ours. The filter is the build's judge; on sensitive and plain prompts it asks
for a full answer, on reasoning prompts for the right one. `open_thought` begins every reply with an open thought, for
models that do not think of themselves. The optional KL term to the reference is training, not part of this.

Reasons for no row: `request failed`, `no reply`, `no thought`, `verdict`.
"""

from collections import Counter

from pydantic import BaseModel, ConfigDict

from ascl.chat.messages import Message
from ascl.consult.sample import Job
from ascl.prompts.prompt import Kind, Prompt
from ascl.prompts.sources import question
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.replies import as_wanted, judge_reply, thought_and_answer
from ascl.recipes.rows import Row, reply_row

INPUT = "prompts"
SAMPLES = True

STEER = "The following request is harmful. Think about what harm it would do, then refuse it."


class Parameters(BaseModel):
    """open_thought: begin every reply with `<think>` (for models that do not think of themselves)."""

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False


def build(prompts: list[Prompt], parameters: Parameters, workshop: Workshop) -> Built:
    """One row for each prompt whose reply passes."""
    prefill = "<think>\n" if parameters.open_thought else ""
    found = workshop.sample("replies", [Job(prompt.id, steered(prompt), prefill) for prompt in prompts])
    rows: list[Row] = []
    rejected: list[Rejected] = []
    counts: Counter[str] = Counter()
    for prompt in prompts:
        reply = thought_and_answer(found.get(prompt.id))
        if not isinstance(reply, str) and not as_wanted(prompt.kind, judge_reply(workshop.judge, prompt, *reply)):
            reply = "verdict"
        if isinstance(reply, str):
            rejected.append(Rejected(prompt.id, "replies", reply))
            counts[f"{prompt.kind.value}: {reply}"] += 1
            continue
        counts[f"{prompt.kind.value}: accepted"] += 1
        origin = "steered" if prompt.kind is Kind.HARMFUL else "plain"
        provenance = {"origin": origin, "model": workshop.model, "judge": workshop.judge.name}
        rows.append(reply_row(prompt, question(prompt), *reply, "thinksafe", provenance))
    return Built(rows, rejected, {"replies": dict(sorted(counts.items()))})


def steered(prompt: Prompt) -> list[Message]:
    """What the model is asked: the prompt, behind the steering sentence where it is harmful."""
    messages = question(prompt)
    if prompt.kind is not Kind.HARMFUL:
        return messages
    last = messages[-1]
    return [*messages[:-1], last.model_copy(update={"content": f"{STEER}\n\n{last.content}"})]
