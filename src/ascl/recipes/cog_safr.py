"""CoG SafR, safety recomposition (Chain-of-Guardrails, arXiv 2510.21285): a safe thought from a harmful one's parts.

The same model rewrites risk analysis and strategy of its harmful trace (`cog.py`) into one coherent thought; the answer
is generated with that thought prefilled, and judged. Plain SFT on thought and answer (the paper: all weights, learning
rate 2e-6, 3 epochs).

Reasons for no row beside those of `cog.py`: stage `recompose` `request failed`, `no reply`, `too short`.
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
    thoughts, unwritten = cog.write_each("recompose", recompose_messages, traces, workshop)
    answers, unanswered = cog.safe_answers(thoughts, traces, workshop)
    rejected += unwritten + unanswered
    rows = []
    for trace in traces:
        identity = trace.prompt.id
        if identity in answers:
            made = cog.provenance("recomposed", trace, workshop)
            asked = question(trace.prompt)
            rows.append(reply_row(trace.prompt, asked, thoughts[identity], answers[identity], "cog_safr", made))
    return Built(rows, rejected, cog.figures(traces, rejected, len(rows)))


def recompose_messages(trace: cog.Trace) -> list[Message]:
    """What the model is asked: a safe thought from the parts of the harmful one."""
    text = fill(_ASK, request=trace.prompt.text, analysis=trace.analysis, strategy=trace.strategy)
    return [Message(role="user", content=text)]
