"""CoG SafR, safety recomposition (Chain-of-Guardrails, arXiv 2510.21285): a safe thought from a harmful one's parts.

The same model rewrites risk analysis and strategy of its harmful trace (`cog.py`) into one coherent thought; the answer
is generated with that thought prefilled, and judged. Plain SFT on thought and answer (the paper: all weights, learning
rate 2e-6, 3 epochs).

Reasons for no row beside those of `cog.py`: stage `recompose` `no reply`; stage `answers` `no reply`, `verdict`.
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

_ASK = """Write the thoughts of an assistant that was asked the following and is about to reply safely.

Request:
{request}

Notes on the risk:
{analysis}

How it means to reply:
{strategy}

Write one coherent train of thought in the first person that weighs the request, comes to see the risk by itself and \
ends with the decision. Do not mention the notes. Write the thoughts only, not the reply."""


def build(prompts: list[Prompt], parameters: cog.Parameters, workshop: Workshop) -> Built:
    """One row for each harmful trace that could be recomposed."""
    traces, rejected = cog.harmful_traces(prompts, parameters, workshop)
    found = workshop.sample("recompose", [Job(trace.prompt.id, recompose_messages(trace)) for trace in traces])
    thoughts = {}
    for trace in traces:
        thought = cog.written(found.get(trace.prompt.id), "recompose", trace.prompt)
        if isinstance(thought, str):
            thoughts[trace.prompt.id] = thought
        else:
            rejected.append(thought)
    answers, failed = cog.safe_answers(thoughts, traces, workshop)
    rejected += failed
    rows = [
        reply_row(
            trace.prompt,
            question(trace.prompt),
            thoughts[trace.prompt.id],
            answers[trace.prompt.id],
            "cog_safr",
            {"origin": "recomposed", "model": workshop.model, "self_jailbreak": trace.self_jailbreak},
        )
        for trace in traces
        if trace.prompt.id in answers
    ]
    return Built(rows, rejected, cog.figures(traces, rejected, len(rows)))


def recompose_messages(trace: cog.Harmful) -> list[Message]:
    """What the model is asked: a safe thought from the parts of the harmful one."""
    text = _ASK.format(request=trace.prompt.text, analysis=trace.analysis, strategy=trace.strategy)
    return [Message(role="user", content=text)]
