"""CoG SafB, safety backtrack (Chain-of-Guardrails, arXiv 2510.21285): the harmful trace is kept, and then corrected.

The full trace of `cog.py` stays; a self-check by the same model is appended to it, and the answer is generated after
both. Loss falls ONLY on what was appended (`no_loss_prefix`): learning the harmful trace as well would undo it (without
the mask a jailbreak measure goes from 26.8 to 59.8 in the paper).

Reasons for no row beside those of `cog.py`: stage `self_check` `request failed`, `no reply`, `too short`.
"""

from ascl.chat.messages import Message
from ascl.chat.phrases import fill
from ascl.data.load import question
from ascl.data.prompt import Prompt
from ascl.data.row import reply_row
from ascl.recipes import cog
from ascl.recipes.build import Built, Workshop

INPUT = "prompts"
SAMPLES = True
Parameters = cog.Parameters

_ASK = """An assistant was asked the following and has begun to think in a direction that leads to harm.

Request:
{request}

Thoughts so far:
{thought}

What is wrong with them ({self_jailbreak}):
{analysis}

Write the next paragraph of these thoughts, in the first person: the assistant stops, checks what it is about to do, \
names the mistake and decides on a safe reply. Write this paragraph only, not the reply."""


def build(prompts: list[Prompt], parameters: cog.Parameters, workshop: Workshop) -> Built:
    """One row for each harmful trace that a self-check turned round."""
    traces, rejected = cog.harmful_traces(prompts, parameters, workshop)
    checks, unwritten = cog.write_each("self_check", check_messages, traces, workshop)
    thoughts = {t.prompt.id: f"{t.thought}\n\n{checks[t.prompt.id]}" for t in traces if t.prompt.id in checks}
    answers, unanswered = cog.safe_answers(thoughts, traces, workshop)
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
    text = fill(
        _ASK,
        request=trace.prompt.text,
        thought=trace.thought,
        self_jailbreak=trace.self_jailbreak,
        analysis=trace.analysis,
    )
    return [Message(role="user", content=text)]
