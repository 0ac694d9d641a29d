"""Chain-of-Guardrails (arXiv 2510.21285): repair the model's own harmful traces. What both of its forms share.

The model answers harmful prompts; a trace that ends in harm is taken apart by the same model into risk awareness, risk
analysis and strategy, and the way in which it talked itself into helping (the "self-jailbreak") is named: benign
reframing, warning, logical fallacy, or harm misidentification. SafR (`cog_safr`) recomposes a safe thought from the
parts; SafB (`cog_safb`) keeps the trace and appends a self-check.

Reconstruction: the code is public, the prompts are not; the wordings here are ours, and the parts are asked for as
labelled sections. The judge of the build decides which traces are harmful.

Reasons for no row: `not harmful` (the prompt), `request failed`, `no reply`, `no thought`, `already safe` (the model's
own reply needs no repair), `analysis` (its sections can't be read), and those of the two forms.
"""

from collections import Counter
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from ascl.chat.messages import Message, Trajectory
from ascl.consult.sample import Job
from ascl.prompts.prompt import Kind, Prompt
from ascl.prompts.sources import question
from ascl.recipes.build import Rejected, Workshop
from ascl.recipes.replies import as_wanted, closed_thought, judge_reply, read_labelled, thought_and_answer

SELF_JAILBREAKS = ("benign reframing", "warning", "logical fallacy", "harm misidentification")

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
    """open_thought: begin every reply with `<think>` (for models that do not think of themselves)."""

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False


@dataclass(frozen=True)
class Harmful:
    """A harmful trace of the model's own, taken apart."""

    prompt: Prompt
    thought: str
    awareness: str
    analysis: str
    strategy: str
    self_jailbreak: str


def harmful_traces(
    prompts: list[Prompt], parameters: Parameters, workshop: Workshop
) -> tuple[list[Harmful], list[Rejected]]:
    """The model's own harmful traces on the harmful prompts, taken apart; and why the other prompts give none."""
    asked = [prompt for prompt in prompts if prompt.kind is Kind.HARMFUL]
    rejected = [Rejected(p.id, "traces", "not harmful") for p in prompts if p.kind is not Kind.HARMFUL]
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
    parts = workshop.sample("analysis", [Job(i, analysis_messages(*parts)) for i, parts in unsafe.items()])
    traces = []
    for identity, (prompt, thought, _) in unsafe.items():
        read = read_analysis(parts.get(identity))
        if read is None:
            rejected.append(Rejected(identity, "analysis", "analysis"))
        else:
            traces.append(Harmful(prompt, thought, *read))
    return traces, rejected


def analysis_messages(prompt: Prompt, thought: str, answer: str) -> list[Message]:
    """What the model is asked about its own harmful trace."""
    kinds = ", ".join(SELF_JAILBREAKS)
    text = _ASK.format(request=prompt.text, thought=thought, answer=answer, kinds=kinds)
    return [Message(role="user", content=text)]


def read_analysis(trajectory: Trajectory | None) -> tuple[str, str, str, str] | None:
    """Awareness, analysis, strategy and the kind of self-jailbreak; None where they can't be read."""
    if trajectory is None or not trajectory.answer:
        return None
    parts = read_labelled(trajectory.answer, ("Risk awareness", "Risk analysis", "Strategy", "Self-jailbreak"))
    if parts is None:
        return None
    named = [kind for kind in SELF_JAILBREAKS if kind in parts[3].lower()]
    return (parts[0], parts[1], parts[2], named[0]) if len(named) == 1 else None


def written(trajectory: Trajectory | None, stage: str, prompt: Prompt) -> str | Rejected:
    """The plain text a model was asked to write, or why there is none."""
    if trajectory is None:
        return Rejected(prompt.id, stage, "request failed")
    text = (trajectory.answer or "").strip()
    return text if len(text.split()) >= 5 else Rejected(prompt.id, stage, "no reply")


def safe_answers(
    thoughts: dict[str, str], traces: list[Harmful], workshop: Workshop
) -> tuple[dict[str, str], list[Rejected]]:
    """The model's answers behind the given thoughts (prefilled, closed), those the judge finds safe, by prompt id."""
    of = {trace.prompt.id: trace.prompt for trace in traces}
    jobs = [Job(i, question(of[i]), closed_thought(thought)) for i, thought in thoughts.items()]
    found = workshop.sample("answers", jobs)
    answers, rejected = {}, []
    for identity in thoughts:
        reply = thought_and_answer(found.get(identity))
        if isinstance(reply, str):
            rejected.append(Rejected(identity, "answers", reply))
        elif not as_wanted(Kind.HARMFUL, judge_reply(workshop.judge, of[identity], *reply)):
            rejected.append(Rejected(identity, "answers", "verdict"))
        else:
            answers[identity] = reply[1]
    return answers, rejected


def figures(traces: list[Harmful], rejected: list[Rejected], rows: int) -> dict[str, dict[str, int | float]]:
    """The report of either form."""
    outcomes = Counter({"accepted": rows}) + Counter(f"{r.stage}: {r.reason}" for r in rejected)
    jailbreaks = Counter(trace.self_jailbreak for trace in traces)
    return {"prompts": dict(outcomes.most_common()), "self-jailbreaks": dict(jailbreaks.most_common())}
