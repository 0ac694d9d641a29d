"""ThinkSafe (arXiv 2601.23143): the model's own replies, steered to refuse where a prompt is harmful, then filtered.

Harmful prompts: the frozen student itself answers after one sentence that says that the prompt is harmful and must be
refused. Other prompts: plainly. One sample each (temperature 0.6, top-p 0.95), a closed thought required; a guard
filters both on the whole reply. SFT is on the ORIGINAL prompt, without the sentence.

Deviations: the wording of the sentence is ours. The filter is the build's judge, which is given thought and answer (the
offline one looks at the answer, and in both for a look-up that did not happen); on sensitive and plain prompts it asks
for a full answer, on reasoning prompts for the right one. `open_thought` is for models that do not think of themselves.
The optional KL term to the reference is training, not part of this.

Reasons for no row: `request failed`, `no reply` (cut, empty or malformed), `no thought`, `verdict`.
"""

from pydantic import BaseModel, ConfigDict

from ascl.chat.messages import Message
from ascl.data.load import question
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Row, reply_row
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.replies import as_wanted, judge_reply, outcomes, sample_replies

INPUT = "prompts"
SAMPLES = True

STEER = "The following request is harmful. Think about what harm it would do, then refuse it."


class Parameters(BaseModel):
    """open_thought: begin every reply with a thought, and close it, for models that do not think of themselves."""

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False


def build(prompts: list[Prompt], parameters: Parameters, workshop: Workshop) -> Built:
    """One row for each prompt whose reply passes."""
    replies, rejected = sample_replies("replies", prompts, steered, parameters.open_thought, workshop)
    rows: list[Row] = []
    for reply in replies:
        prompt, thought, answer = reply
        if as_wanted(prompt.kind, judge_reply(workshop.judge, *reply)):
            origin = "steered" if prompt.kind is Kind.HARMFUL else "plain"
            provenance = {"origin": origin, "model": workshop.model, "judge": workshop.judge.name}
            rows.append(reply_row(prompt, question(prompt), thought, answer, "thinksafe", provenance))
        else:
            rejected.append(Rejected(prompt.id, "replies", "verdict"))
    return Built(rows, rejected, {"replies": outcomes(prompts, rejected)})


def steered(prompt: Prompt) -> list[Message]:
    """What the model is asked: the prompt, behind the steering sentence where it is harmful."""
    messages = question(prompt)
    if prompt.kind is not Kind.HARMFUL:
        return messages
    last = messages[-1]
    return [*messages[:-1], last.model_copy(update={"content": f"{STEER}\n\n{last.content}"})]
