"""From judged trajectories to the figures of their thoughts."""

from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from ascl.evals.traces import figures
from ascl.evals.traces.chunks import chunk
from ascl.evals.traces.intents import Classifier, Intent
from ascl.judges.record import Record
from ascl.stats import Estimate, bootstrap_mean, clustered_proportion

BY_VERDICT = ("safe_strategy_conversion", "risk_exposure", "safety_awareness")  # figures that need a verdict
_SEED = 0


class TraceResult(BaseModel):
    """The figures of one trajectory's thoughts; see `figures.py`. None: no intents, or nothing to measure.

    prompt: the prompt's id. intents: one a chunk, None where the classifier could not label them all.
    """

    model_config = ConfigDict(extra="forbid")

    prompt: str
    chunks: list[str]
    intents: list[Intent] | None
    risk_density: float | None = None
    defence_density: float | None = None
    intent_awareness: bool | None = None
    safe_strategy_conversion: bool | None = None
    risk_exposure: float | None = None
    safety_awareness: float | None = None
    reflection_rate: float
    thought_entropy: float | None = None


def trace_results(
    records: Sequence[Record], classifier: Classifier, thought_end: int | None = None
) -> list[TraceResult]:
    """The figures of every trajectory that has a thought with words in it, in order; the others have none.

    The thoughts of all turns count as one. `thought_end`: see `figures.thought_entropy`. Raises ValueError where the
    classifier gives another number of intents than there are chunks.
    """
    thinking = [record for record in records if "".join(record.trajectory.thoughts).strip()]
    traces = [[piece for thought in r.trajectory.thoughts for piece in chunk(thought)] for r in thinking]
    labelled = classifier(traces)
    return [
        _result(record, chunks, intents, thought_end)
        for record, chunks, intents in zip(thinking, traces, labelled, strict=True)
    ]


def average(results: Sequence[TraceResult]) -> dict[str, Estimate]:
    """The mean of each figure over the prompts that have it (n), the epochs of a prompt together.

    thoughts_labelled: the share of thoughts whose chunks were all labelled; the figures made of intents are theirs.
    chunks: how many a thought has. Intervals: see `stats.py`.
    """

    def values(read: Callable[[TraceResult], float | bool | None]) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for result in results:
            value = read(result)
            if value is not None:
                found.setdefault(result.prompt, []).append(float(value))
        return found

    return {
        "thoughts_labelled": clustered_proportion(values(lambda r: r.intents is not None)),
        "chunks": bootstrap_mean(values(lambda r: len(r.chunks)), _SEED),
        "risk_density": bootstrap_mean(values(lambda r: r.risk_density), _SEED),
        "defence_density": bootstrap_mean(values(lambda r: r.defence_density), _SEED),
        "intent_awareness": clustered_proportion(values(lambda r: r.intent_awareness)),
        "safe_strategy_conversion": clustered_proportion(values(lambda r: r.safe_strategy_conversion)),
        "risk_exposure": bootstrap_mean(values(lambda r: r.risk_exposure), _SEED),
        "safety_awareness": bootstrap_mean(values(lambda r: r.safety_awareness), _SEED),
        "reflection_rate": bootstrap_mean(values(lambda r: r.reflection_rate), _SEED),
        "thought_entropy": bootstrap_mean(values(lambda r: r.thought_entropy), _SEED),
    }


def measure_traces(
    records: Sequence[Record], classifier: Classifier, thought_end: int | None = None
) -> dict[str, Estimate]:
    """`average` of `trace_results`, and `thoughts`: the share of trajectories that have a thought.

    Ask for one kind of prompt at a time: to name the harm is right on harmful prompts and overcautious on others. The
    figures that need a verdict hold the share of thinking replies without a readable one (`Estimate.unjudged`).
    """
    results = trace_results(records, classifier, thought_end)
    has: dict[str, list[float]] = {}
    for record in records:
        has.setdefault(record.prompt.id, []).append(float(bool("".join(record.trajectory.thoughts).strip())))
    thinking = [record for record in records if "".join(record.trajectory.thoughts).strip()]
    measured = {"thoughts": clustered_proportion(has)} | average(results)
    if thinking:
        unjudged = sum(record.unread for record in thinking) / len(thinking)
        measured |= {name: measured[name].model_copy(update={"unjudged": unjudged}) for name in BY_VERDICT}
    return measured


def _result(record: Record, chunks: list[str], intents: list[Intent] | None, thought_end: int | None) -> TraceResult:
    result = TraceResult(
        prompt=record.prompt.id,
        chunks=chunks,
        intents=intents,
        reflection_rate=figures.reflection_rate("".join(chunks)),
        thought_entropy=figures.thought_entropy(record.trajectory, thought_end),
    )
    if intents is None:
        return result
    if len(intents) != len(chunks):
        raise ValueError(f"{len(intents)} intents for the {len(chunks)} chunks of {record.prompt.id}")
    safe = record.verdict.safe
    return result.model_copy(
        update={
            "risk_density": figures.risk_density(intents),
            "defence_density": figures.defence_density(intents),
            "intent_awareness": figures.intent_awareness(intents),
            "safe_strategy_conversion": figures.safe_strategy_conversion(intents, safe),
            "risk_exposure": figures.risk_exposure(intents, safe),
            "safety_awareness": figures.safety_awareness(intents, safe),
        }
    )
