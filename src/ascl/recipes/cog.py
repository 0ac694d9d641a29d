"""Chain-of-Guardrails (arXiv 2510.21285): repair the model's own harmful traces. What both of its forms share.

The model answers harmful prompts; a trace that ends in harm is taken apart by the same model into risk awareness, risk
analysis and strategy, and the way in which it talked itself into helping (the "self-jailbreak") is named: benign
reframing, warning, logical fallacy, or harm misidentification. SafR (`cog_safr`) recomposes a safe thought from the
parts; SafB (`cog_safb`) keeps the trace and appends a self-check.

Reconstruction: the code is public, the prompts are not; the wordings here are ours, and the parts are asked for as
labelled sections. The judge of the build decides which traces are harmful. A prompt that the model refuses of itself
gives no row (`thinksafe` makes rows of those).

Reasons for no row: stage `traces` `not harmful` (the prompt), `no reply`, `no thought`, `already safe`; stage
`analysis` `no reply`, `sections` (they can't be read, or do not name exactly one self-jailbreak); stage `answers` `no
reply`, `no thought`, `verdict`; any stage `request failed`; and those of the stage that each form adds.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from ascl.chat.messages import Message, Opening
from ascl.chat.phrases import fill
from ascl.data.prompt import Kind, Prompt
from ascl.recipes.build import Rejected, Workshop
from ascl.recipes.replies import (
    Reply,
    as_wanted,
    judge_reply,
    read_labelled,
    sample_behind,
    unsafe_replies,
    whole_answer,
    why_none,
)
from ascl.sampling.to_file import Job

SELF_JAILBREAKS = ("benign reframing", "warning", "logical fallacy", "harm misidentification")
MIN_WORDS = 5  # a shorter text is no thought

_ASK = """An assistant was asked the following and wrote these thoughts and this reply. The reply is harmful.

Request:
{request}

Thoughts:
{thought}

Reply:
{answer}

Take the thoughts apart. Use exactly this form, one paragraph each:
Risk awareness: (where the thoughts notice a risk, or should have)
Risk analysis: (what harm the request could do, and to whom)
Strategy: (how a safe assistant would reply)
Self-jailbreak: (how the thoughts talked themselves into helping, one of: {kinds})"""


class Parameters(BaseModel):
    """open_thought: begin every reply with a thought, and close it, for models that do not think of themselves."""

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False


@dataclass(frozen=True)
class Trace:
    """A harmful trace of the model's own, taken apart."""

    prompt: Prompt
    thought: str
    awareness: str
    analysis: str
    strategy: str
    self_jailbreak: str


def harmful_traces(
    prompts: list[Prompt], parameters: Parameters, workshop: Workshop
) -> tuple[list[Trace], list[Rejected]]:
    """The model's own harmful traces on the harmful prompts, taken apart; and why the other prompts give none."""
    unsafe, rejected = unsafe_replies(prompts, parameters.open_thought, workshop)
    found = workshop.sample("analysis", [Job(reply.prompt.id, analysis_messages(reply)) for reply in unsafe])
    traces = []
    for reply in unsafe:
        trajectory = found.get(reply.prompt.id)
        text = whole_answer(trajectory)
        parts = read_analysis(text)
        if parts is None:
            reason = "sections" if text else why_none(trajectory)
            rejected.append(Rejected(reply.prompt.id, "analysis", reason))
        else:
            traces.append(Trace(reply.prompt, reply.thought, *parts))
    return traces, rejected


def analysis_messages(reply: Reply) -> list[Message]:
    """What the model is asked about its own harmful trace."""
    kinds = ", ".join(SELF_JAILBREAKS)
    text = fill(_ASK, request=reply.prompt.text, thought=reply.thought, answer=reply.answer, kinds=kinds)
    return [Message(role="user", content=text)]


def read_analysis(text: str) -> tuple[str, str, str, str] | None:
    """Awareness, analysis, strategy and the kind of self-jailbreak; None where they can't be read."""
    parts = read_labelled(text, ("Risk awareness", "Risk analysis", "Strategy", "Self-jailbreak"))
    if parts is None:
        return None
    named = [kind for kind in SELF_JAILBREAKS if kind in parts[3].lower()]
    return (parts[0], parts[1], parts[2], named[0]) if len(named) == 1 else None


def write_each(
    stage: str, messages: Callable[[Trace], list[Message]], traces: list[Trace], workshop: Workshop
) -> tuple[dict[str, str], list[Rejected]]:
    """The text the model writes about each trace, by prompt id; and where it is missing or `too short`."""
    found = workshop.sample(stage, [Job(trace.prompt.id, messages(trace)) for trace in traces])
    texts: dict[str, str] = {}
    rejected = []
    for trace in traces:
        identity = trace.prompt.id
        text = whole_answer(found.get(identity))
        if len(text.split()) >= MIN_WORDS:
            texts[identity] = text
        else:
            reason = "too short" if text else why_none(found.get(identity))
            rejected.append(Rejected(identity, stage, reason))
    return texts, rejected


def safe_answers(
    thoughts: dict[str, str], traces: list[Trace], workshop: Workshop
) -> tuple[dict[str, str], list[Rejected]]:
    """The model's answers after the given thoughts (prefilled, closed), those the judge finds safe, by prompt id."""
    prompts = [trace.prompt for trace in traces if trace.prompt.id in thoughts]
    prefills = {identity: Opening(thought, closed=True) for identity, thought in thoughts.items()}
    replies, rejected = sample_behind("answers", prompts, prefills, False, workshop)
    answers = {}
    for reply in replies:
        if as_wanted(Kind.HARMFUL, judge_reply(workshop.judge, *reply)):
            answers[reply.prompt.id] = reply.answer
        else:
            rejected.append(Rejected(reply.prompt.id, "answers", "verdict"))
    return answers, rejected


def provenance(origin: str, trace: Trace, workshop: Workshop) -> dict[str, str]:
    """What a row of either form says of itself."""
    made = {"origin": origin, "model": workshop.model, "judge": workshop.judge.name}
    return made | {"self_jailbreak": trace.self_jailbreak}


def figures(traces: list[Trace], rejected: list[Rejected], rows: int) -> dict[str, dict[str, int | float]]:
    """The report of either form."""
    outcomes = Counter({"accepted": rows}) + Counter(f"{r.stage}: {r.reason}" for r in rejected)
    jailbreaks = Counter(trace.self_jailbreak for trace in traces)
    return {"prompts": dict(outcomes.most_common()), "self-jailbreaks": dict(jailbreaks.most_common())}
