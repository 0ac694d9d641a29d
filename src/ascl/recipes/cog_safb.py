"""CoG SafB, safety backtrack (Chain-of-Guardrails, arXiv 2510.21285): the harmful trace is kept, and then corrected.

The full trace of a self-jailbreak (`cog.py`) stays; a self-check by the same model, told the type, is appended to it,
and the answer is generated after both; the answer alone is judged, for the trace is harmful. Loss falls ONLY on what
was appended (`no_loss_prefix`): learning the harmful trace as well would undo it (without the mask PAIR's attack
success goes from 26.8 to 59.8 in the paper).

Reasons for no row beside those of `cog.py`: stage `self_check` `request failed`, `no reply`, `too short`.
"""

from functools import partial

from ascl.chat.messages import Message
from ascl.chat.phrases import fill
from ascl.data.load import question
from ascl.data.prompt import Prompt
from ascl.data.row import reply_row
from ascl.recipes import cog
from ascl.recipes.build import Built, Workshop
from ascl.recipes.replies import judge_replies

INPUT = "prompts"
SAMPLES = True
Parameters = cog.Parameters

_ASK = """An assistant was asked the following and has begun to think in a direction that leads to harm.

Request:
{request}

Thoughts so far:
{thought}

What is wrong with them:
{told}

Write the next paragraph of these thoughts, in the first person: the assistant stops, checks what it is about to do, \
names the mistake and decides on a safe reply. Write this paragraph only, not the reply."""


def build(prompts: list[Prompt], parameters: cog.Parameters, workshop: Workshop) -> Built:
    """One row for each self-jailbreak that a self-check turned round."""
    traces, rejected = cog.harmful_traces(prompts, parameters, workshop)
    thoughts, unwritten = cog.write_each("self_check", check_messages, checked, traces, workshop)
    answers, unanswered = cog.safe_answers(thoughts, traces, partial(judge_replies, workshop.judge), workshop)
    rejected += unwritten + unanswered
    rows = []
    for trace in traces:
        identity = trace.prompt.id
        if identity in answers:
            made = cog.provenance("backtracked", trace, workshop)
            asked = question(trace.prompt)
            row = reply_row(trace.prompt, asked, thoughts[identity], answers[identity], "cog_safb", made)
            rows.append(row.model_copy(update={"no_loss_prefix": trace.thought}))
    return Built(rows, rejected, cog.figures(traces, rejected, len(rows)))


def check_messages(trace: cog.Trace) -> list[Message]:
    """What the model is asked: the paragraph that turns its own harmful thoughts round."""
    text = fill(_ASK, request=trace.prompt.text, thought=trace.thought, told=trace.told)
    return [Message(role="user", content=text)]


def checked(text: str, trace: cog.Trace) -> str:
    """The thought of the trace, with the text as its last paragraph."""
    return f"{trace.thought}\n\n{text}"
