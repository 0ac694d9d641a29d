"""CoG SafB, safety backtrack (Chain-of-Guardrails, arXiv 2510.21285): the harmful trace is kept, and then corrected.

The full trace of `cog.py` stays; a self-check by the same model is appended to it, and the answer is generated behind
both. Loss falls ONLY on what was appended (`no_loss_prefix`): learning the harmful trace as well would undo it (without
the mask a jailbreak measure goes from 26.8 to 59.8 in the paper).

Reasons for no row beside those of `cog.py`: stage `self_check` `no reply`; stage `answers` `no reply`, `verdict`.
"""

from ascl.chat.messages import Message
from ascl.consult.sample import Job
from ascl.prompts.prompt import Prompt
from ascl.prompts.sources import question
from ascl.recipes import cog
from ascl.recipes.build import Built, Workshop
from ascl.recipes.rows import reply_row

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
    found = workshop.sample("self_check", [Job(trace.prompt.id, check_messages(trace)) for trace in traces])
    thoughts = {}
    for trace in traces:
        check = cog.written(found.get(trace.prompt.id), "self_check", trace.prompt)
        if isinstance(check, str):
            thoughts[trace.prompt.id] = f"{trace.thought}\n\n{check}"
        else:
            rejected.append(check)
    answers, failed = cog.safe_answers(thoughts, traces, workshop)
    rejected += failed
    rows = []
    for trace in traces:
        if trace.prompt.id not in answers:
            continue
        provenance = {"origin": "backtracked", "model": workshop.model, "self_jailbreak": trace.self_jailbreak}
        thought, answer = thoughts[trace.prompt.id], answers[trace.prompt.id]
        row = reply_row(trace.prompt, question(trace.prompt), thought, answer, "cog_safb", provenance)
        rows.append(row.model_copy(update={"no_loss_prefix": trace.thought}))
    return Built(rows, rejected, cog.figures(traces, rejected, len(rows)))


def check_messages(trace: cog.Harmful) -> list[Message]:
    """What the model is asked: the paragraph that turns its own harmful thoughts round."""
    text = _ASK.format(
        request=trace.prompt.text,
        thought=trace.thought,
        self_jailbreak=trace.self_jailbreak,
        analysis=trace.analysis,
    )
    return [Message(role="user", content=text)]
