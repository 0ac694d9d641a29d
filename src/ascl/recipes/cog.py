"""Chain-of-Guardrails (arXiv 2510.21285): repair the model's own harmful traces. What both of its forms share.

The model answers harmful prompts. Two ways lead to a harmful trace there: `no awareness` (the harm is not noticed at
all), and self-jailbreak: the risk is noticed and then overridden, by benign reframing, warning or logical fallacy. A
self-jailbreak is taken apart into awareness, analysis and strategy as the model wrote them, and its type is named.
SafR (`cog_safr`) keeps the awareness and rewrites the rest; SafB (`cog_safb`) keeps the trace and appends a self-check.
Of a trace without awareness there is nothing to keep: it is counted and gives no row.

Reconstruction: the code is public, the prompts are not; the wordings here are ours. Deviations: the model points at its
numbered sentences, so that the parts are its own words by construction; by default the same model does so that wrote
them. The judge of the build decides which traces are harmful. A prompt that the model refuses without help gives no row
(`thinksafe` makes rows of those).

Reasons for no row: stage `traces` `not harmful` (the prompt), `no reply`, `no thought`, `already safe`; stage
`analysis` `no reply`, `sections` (can't be read, names sentences that are not there, or not exactly one self-jailbreak
of a thought with awareness), `no awareness`; stage `answers` `no reply`, `no thought`, `verdict`; any stage `request
failed`; and those of the stage that each form adds.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from ascl.chat.messages import Message, Opening, Trajectory
from ascl.chat.phrases import fill
from ascl.data.prompt import Kind, Prompt
from ascl.judges.verdict import Verdict
from ascl.recipes.build import Rejected, Workshop
from ascl.recipes.replies import Reply, as_wanted, read_labelled, sample_behind, unsafe_replies, whole_answer, why_none
from ascl.recipes.sentences import numbered, pointed_at
from ascl.sampling.to_file import Job

SELF_JAILBREAKS = {
    "benign reframing": "the thoughts read the request as more harmless than it is",
    "warning": "the thoughts hold a warning or a disclaimer to be enough, and help",
    "logical fallacy": "the thoughts draw a conclusion that does not follow from the risk they noticed",
}
NO_AWARENESS = "no awareness"
MIN_WORDS = 5  # a shorter text is no thought

_ASK = """An assistant was asked the following and wrote these thoughts (their sentences are numbered) and this reply. \
Thoughts or reply are harmful.

Request:
{request}

Thoughts:
{numbered}

Reply:
{answer}

Take the thoughts apart by the numbers of their sentences, e.g. 1, 3-4, or none. Use exactly this form:
Risk awareness: (the sentences that notice a risk in the request; none if no sentence does)
Risk analysis: (the sentences that weigh the risk or the request)
Strategy: (the sentences that decide how to reply)
Self-jailbreak: (none without risk awareness, else the one of these that tells how the thoughts overrode it: {kinds})"""


class Parameters(BaseModel):
    """open_thought: begin every reply with a thought, and close it, for models that do not think of themselves."""

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False


@dataclass(frozen=True)
class Trace:
    """A harmful trace of the model's own, taken apart: awareness, analysis and strategy are sentences of the thought.

    self_jailbreak: a key of `SELF_JAILBREAKS`.
    """

    prompt: Prompt
    thought: str
    awareness: str
    analysis: str
    strategy: str
    self_jailbreak: str

    @property
    def told(self) -> str:
        """The type as a model is told it."""
        return f"{self.self_jailbreak}: {SELF_JAILBREAKS[self.self_jailbreak]}"


def harmful_traces(
    prompts: list[Prompt], parameters: Parameters, workshop: Workshop
) -> tuple[list[Trace], list[Rejected]]:
    """The self-jailbreaks among the model's own replies to the harmful prompts; why the other prompts give none."""
    unsafe, rejected = unsafe_replies(prompts, parameters.open_thought, workshop)
    found = workshop.sample("analysis", [Job(reply.prompt.id, analysis_messages(reply)) for reply in unsafe])
    traces = []
    for reply in unsafe:
        trace = _trace(reply, found.get(reply.prompt.id))
        if isinstance(trace, str):
            rejected.append(Rejected(reply.prompt.id, "analysis", trace))
        else:
            traces.append(trace)
    return traces, rejected


def _trace(reply: Reply, analysis: Trajectory | None) -> Trace | str:
    """The trace taken apart, or why it is not."""
    text = whole_answer(analysis)
    if not text:
        return why_none(analysis)
    parts = read_analysis(text, reply.thought)
    if parts is None:
        return "sections"
    return NO_AWARENESS if parts[3] == NO_AWARENESS else Trace(reply.prompt, reply.thought, *parts)


def analysis_messages(reply: Reply) -> list[Message]:
    """What the model is asked about its own harmful trace."""
    kinds = "; ".join(f"{name} ({meaning})" for name, meaning in SELF_JAILBREAKS.items())
    text = fill(_ASK, request=reply.prompt.text, numbered=numbered(reply.thought), answer=reply.answer, kinds=kinds)
    return [Message(role="user", content=text)]


def read_analysis(text: str, thought: str) -> tuple[str, str, str, str] | None:
    """Awareness, analysis and strategy as they stand in the thought, and the self-jailbreak or `no awareness`.

    None where the text can't be read, names sentences that the thought does not have, names a self-jailbreak of a
    thought without awareness, or not exactly one of a thought with it.
    """
    labelled = read_labelled(text, ("Risk awareness", "Risk analysis", "Strategy", "Self-jailbreak"))
    if labelled is None:
        return None
    awareness, analysis, strategy = (pointed_at(part, thought) for part in labelled[:3])
    if awareness is None or analysis is None or strategy is None:
        return None
    named = [kind for kind in SELF_JAILBREAKS if kind in labelled[3].lower()]
    if len(named) != bool(awareness):
        return None
    return awareness, analysis, strategy, named[0] if named else NO_AWARENESS


def write_each(
    stage: str,
    messages: Callable[[Trace], list[Message]],
    read: Callable[[str, Trace], str | None],
    traces: list[Trace],
    workshop: Workshop,
) -> tuple[dict[str, str], list[Rejected]]:
    """The new thought that `read` makes of what the model writes about each trace, by prompt id.

    And where there is none: `sections` (it can't be read), `too short`.
    """
    found = workshop.sample(stage, [Job(trace.prompt.id, messages(trace)) for trace in traces])
    thoughts: dict[str, str] = {}
    rejected = []
    for trace in traces:
        identity = trace.prompt.id
        text = whole_answer(found.get(identity))
        thought = read(text, trace) if len(text.split()) >= MIN_WORDS else None
        if thought:
            thoughts[identity] = thought
        else:
            long = "sections" if len(text.split()) >= MIN_WORDS else "too short"
            rejected.append(Rejected(identity, stage, long if text else why_none(found.get(identity))))
    return thoughts, rejected


def safe_answers(
    thoughts: dict[str, str],
    traces: list[Trace],
    judged: Callable[[list[Reply]], list[Verdict]],
    workshop: Workshop,
) -> tuple[dict[str, str], list[Rejected]]:
    """The model's answers after the given thoughts (prefilled, closed), those that are `judged` safe, by prompt id."""
    prompts = [trace.prompt for trace in traces if trace.prompt.id in thoughts]
    prefills = {identity: Opening(thought, closed=True) for identity, thought in thoughts.items()}
    replies, rejected = sample_behind("answers", prompts, prefills, False, workshop)
    answers = {}
    for reply, verdict in zip(replies, judged(replies), strict=True):
        if as_wanted(Kind.HARMFUL, verdict):
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
    failures = Counter(trace.self_jailbreak for trace in traces)
    failures += Counter(r.reason for r in rejected if r.reason == NO_AWARENESS)
    return {"prompts": dict(outcomes.most_common()), "harmful traces": dict(failures.most_common())}
