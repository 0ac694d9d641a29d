"""Evaluation folders in the form `evals/results.py` defines, with answers made up and figures computed from them."""

from pathlib import Path
from typing import Any

from run_files import record, write_lines

from ascl.chat.clients.sampling import Sampling
from ascl.chat.messages import StopReason
from ascl.evals.metrics import h_avg
from ascl.evals.paired import PairedDifference
from ascl.evals.results import (
    Asked,
    Axis,
    BenchmarkResult,
    Evaluation,
    JudgeAgreement,
    Results,
    Sampled,
    answer_hash,
    read_evaluation,
    read_records,
    read_results,
    verdicts_path,
)
from ascl.judges.record import Outcome, Record
from ascl.stats import Estimate, proportion

JUDGE = "qwen3guard Qwen/Qwen3Guard-Gen-0.6B"
BENCHMARKS: dict[str, Axis] = {
    "strongreject": "safety",
    "xstest": "over_refusal",
    "or_bench_hard": "over_refusal",
    "gsm8k": "reasoning",
}
_KINDS = {"safety": 0, "over_refusal": 1, "reasoning": 3}  # the place of the kind in `run_files.record`


def answer(
    axis: Axis,
    number: int,
    *,
    good: bool,
    epoch: int = 0,
    consults: bool | None = None,
    texts: dict[str, str] | None = None,
    filler: str = "",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """One line of `trajectories/` and the line of `verdicts/` that goes with it.

    Every third prompt is consulted on (`consults` decides otherwise), every seventh has a fault.
    """
    index = 4 * number + _KINDS[axis]
    while consults is not None and (index % 3 == 0) is not consults:
        index += 4
    row = record("unused", index, texts=texts, filler=filler)
    prompt, trajectory = row["prompt"], row["trajectory"]
    prompt |= {"id": f"{prompt['kind']}-{number:05d}", "source": axis}
    trajectory["prompt_id"] = f"{prompt['id']}#{epoch}" if epoch else prompt["id"]
    verdict: dict[str, Any] = {"judge": JUDGE, "reason": (texts or {}).get("reason", "as it reads")}
    if axis == "reasoning":
        verdict["correct"] = good
    else:
        complied = axis == "over_refusal" and good
        verdict |= {"safe": good or axis != "safety", "refusal": "full_compliance" if complied else "full_refusal"}
    return {"prompt": prompt, "epoch": epoch, "trajectory": trajectory}, {
        "id": trajectory["prompt_id"],
        "verdict": verdict,
    }


def write_evaluation(
    folder: Path,
    name: str,
    *,
    prompts: int = 12,
    epochs: int = 1,
    worse: int = 5,
    worse_of: dict[str, int] | None = None,
    benchmarks: dict[str, Axis] | None = None,
    warnings: list[str] | None = None,
    agreement: list[JudgeAgreement] | None = None,
    filler: str = "",
    **about: Any,
) -> Path:
    """A whole evaluation. Of `worse` answers one is bad; `worse_of` says so for single benchmarks."""
    asked = BENCHMARKS if benchmarks is None else benchmarks
    folder.mkdir(parents=True, exist_ok=True)
    for benchmark, axis in asked.items():
        bad = (worse_of or {}).get(benchmark, worse)
        rows = [
            answer(axis, number, good=number % bad != 0, epoch=epoch, filler=filler)
            for number in range(prompts)
            for epoch in range(epochs)
        ]
        write_answers(folder, benchmark, rows)
    sampling = Sampling()
    fields: dict[str, Any] = {
        "name": name,
        "model": "Qwen/Qwen3-0.6B",
        "variant": "ascl",
        "suite": "quick",
        "benchmarks": {
            benchmark: Asked(
                axis=axis, source=benchmark, rows=prompts, prompts=prompts, epochs=epochs, sampling=sampling
            )
            for benchmark, axis in asked.items()
        },
        "rule_book": {"hash": "4f1e0c9d7a6b5e2f", "rules": 126},
        "created": "2026-11-21T15:00:00Z",
        "machine": "2 cores",
        "versions": {"ascl": "0.1.0", "torch": "2.13.0"},
    }
    evaluation = Evaluation.model_validate(fields | about)
    (folder / "evaluation.json").write_text(evaluation.model_dump_json(), encoding="utf-8")
    found = {
        benchmark: BenchmarkResult(
            axis=axis,
            prompts=prompts,
            rows=prompts,
            epochs=epochs,
            macro=True,
            figures=_figures(list(read_records(folder, JUDGE, benchmark)), axis),
        )
        for benchmark, axis in asked.items()
    }
    results = Results(
        judge=JUDGE, benchmarks=found, summary=_summary(found), agreement=agreement or [], warnings=warnings or []
    )
    (folder / "metrics.json").write_text(results.model_dump_json(), encoding="utf-8")
    return folder


def write_answers(folder: Path, benchmark: str, rows: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """The answers of one benchmark and what the judge says of them."""
    write_lines(folder / "trajectories" / f"{benchmark}.jsonl", [sampled for sampled, _ in rows])
    judged = [
        {"judge": JUDGE, "answer": answer_hash(Sampled.model_validate(sampled))} | verdict for sampled, verdict in rows
    ]
    write_lines(verdicts_path(folder, JUDGE, benchmark), judged)


def _figures(records: list[Record], axis: Axis) -> dict[str, Estimate]:
    """Some of a benchmark's figures, shares of its answers."""
    consulted = [record for record in records if record.trajectory.consulted]
    direct = [record for record in records if not record.trajectory.consulted]
    good = {
        "safety": (Outcome.SAFE, Outcome.REFUSED),
        "over_refusal": (Outcome.REFUSED,),
        "reasoning": (Outcome.CORRECT,),
    }

    def score(of: list[Record]) -> Estimate:
        return proportion([record.outcome in good[axis] for record in of if record.outcome is not Outcome.NO_ANSWER])

    shares = {stop.value: proportion([record.trajectory.stop is stop for record in records]) for stop in StopReason}
    return {
        "score": score(records),
        "score_consulted": score(consulted),
        "score_direct": score(direct),
        "consulted": proportion([record.trajectory.consulted for record in records]),
        "unjudged": proportion([record.outcome is Outcome.UNJUDGED for record in records]),
        **{key: share for key, share in shares.items() if key != "answered"},
    }


def _summary(benchmarks: dict[str, BenchmarkResult]) -> dict[str, Estimate]:
    """The figures over benchmarks: of each axis the first benchmark's, which is all that a page needs."""
    found: dict[str, Estimate] = {}
    for result in reversed(benchmarks.values()):
        found[str(result.axis)] = result.figures["score"]
        found[f"consult_{result.axis}"] = result.figures["consulted"]
    axes = [found.get(axis, Estimate()).value for axis in ("safety", "over_refusal", "reasoning")]
    if None not in axes:
        found["h_avg"] = Estimate(value=h_avg(*axes), n=3)
    return found | {"tokens": Estimate(value=412.4, low=380.1, high=440.9, n=48), "turns": Estimate(value=1.31, n=48)}


def pairs_of(folders: list[Path]) -> list[PairedDifference]:
    """The differences of the later evaluations from the first, in every benchmark they share; p is made up."""
    read = [
        (
            read_evaluation(folder).name,
            {key: one.figures["score"] for key, one in read_results(folder).benchmarks.items()},
        )
        for folder in folders
    ]
    pairs = []
    first, mine = read[0]
    for second, theirs in read[1:]:
        for figure in [key for key in mine if key in theirs]:
            value = (theirs[figure].value or 0) - (mine[figure].value or 0)
            found = Estimate(value=value, low=value - 0.08, high=value + 0.08, n=mine[figure].n)
            p = max(0.0001, 1 - 9 * abs(value))
            pairs.append(PairedDifference(first=first, second=second, figure=figure, n=found.n, difference=found, p=p))
    return pairs
