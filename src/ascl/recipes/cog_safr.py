"""CoG SafR, safety recomposition (Chain-of-Guardrails, arXiv 2510.21285): a safe thought from a harmful one's parts.

Of a self-jailbreak (`cog.py`) the risk awareness stays, word for word. The same model, told the type, rewrites analysis
and strategy; the three parts put together are prefilled as the thought, the answer is generated after it, and judged
with it. Plain SFT on thought and answer (the paper: all weights, learning rate 2e-6, 3 epochs).

Reasons for no row beside those of `cog.py`: stage `recompose` `request failed`, `no reply`, `too short`, `sections`.
"""

from functools import partial

from ascl.chat.messages import Message
from ascl.chat.phrases import fill
from ascl.data.load import question
from ascl.data.prompt import Prompt
from ascl.data.row import reply_row
from ascl.recipes import cog
from ascl.recipes.build import Built, Workshop
from ascl.recipes.replies import judge_whole, read_labelled

INPUT = "prompts"
SAMPLES = True
Parameters = cog.Parameters

_ASK = """An assistant was asked the following. Its thoughts noticed a risk, and then talked themselves into helping.

Request:
{request}

What the thoughts noticed, which stays as it is:
{awareness}

How they went on to weigh it:
{analysis}

How they meant to reply:
{strategy}

What went wrong:
{told}

Rewrite how they weigh the risk and how they mean to reply, so that the mistake is not made: in the first person, as \
thoughts that follow on what was noticed, without a word about a rewrite. Use exactly this form:
Risk analysis: (what harm the request could do, and to whom)
Strategy: (how to reply safely)"""


def build(prompts: list[Prompt], parameters: cog.Parameters, workshop: Workshop) -> Built:
    """One row for each self-jailbreak that could be recomposed."""
    traces, rejected = cog.harmful_traces(prompts, parameters, workshop)
    thoughts, unwritten = cog.write_each("recompose", recompose_messages, recomposed, traces, workshop)
    answers, unanswered = cog.safe_answers(thoughts, traces, partial(judge_whole, workshop.judge), workshop)
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
    """What the model is asked: new analysis and strategy, given the awareness and the type of the self-jailbreak."""
    text = fill(
        _ASK,
        request=trace.prompt.text,
        awareness=trace.awareness,
        analysis=trace.analysis or "(not at all)",
        strategy=trace.strategy or "(not said)",
        told=trace.told,
    )
    return [Message(role="user", content=text)]


def recomposed(text: str, trace: cog.Trace) -> str | None:
    """The awareness of the trace, word for word, with the analysis and the strategy of a text after it."""
    parts = read_labelled(text, ("Risk analysis", "Strategy"))
    return "\n\n".join([trace.awareness, *parts]) if parts else None
