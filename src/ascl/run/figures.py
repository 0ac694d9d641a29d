"""From the evaluations and logs of a run to `results.json`: arms over their seeds, and how far they differ."""

import math
import os
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import BaseModel, ConfigDict

from ascl.evals.arms import ArmDifference, ArmResult, RunResults, figures_over_seeds, headline
from ascl.evals.evaluation import marks_of
from ascl.evals.paired import paired_differences
from ascl.evals.results import Results, read_results
from ascl.judges.calibrate import calibrate, load_calibration
from ascl.run.config import ZERO_SHOT, RunConfig
from ascl.run.stages import Stage, evaluation_of, model_of
from ascl.saved import read_saved
from ascl.stats import Estimate, paired_over_seeds
from ascl.train.training import LOG, ROLLOUTS

COMPARED = ("safety", "over_refusal", "reasoning", "h_avg", "separation", "selectivity")
_CURVES = ("step", "reward", "loss", "entropy", "weight_consult", "weight_direct", "unjudged")


def run_results(folder: Path, config: RunConfig, done: Sequence[Stage], manifest: Mapping[str, Any]) -> RunResults:
    """What a run came to, as far as its stages are done."""
    evaluated: dict[str, list[Stage]] = {}
    for stage in done:
        if stage.work == "evaluate":
            evaluated.setdefault(stage.of, []).append(stage)
    found = {name: [read_results(_place(folder, stage)) for stage in of] for name, of in evaluated.items()}
    arms = [_arm(folder, config, name, of, found[name]) for name, of in evaluated.items()]
    differences = _differences(folder, config, evaluated, found)
    warnings: dict[str, list[str]] = {}
    for name, of in found.items():
        for results in of:
            for line in results.warnings:
                warnings.setdefault(line, [])
                if name not in warnings[line]:
                    warnings[line].append(name)
    return RunResults(
        name=folder.resolve().name,
        headline=headline(arms, differences),
        facts=_facts(config, manifest, found),
        arms=arms,
        differences=differences,
        seconds={name: stage["seconds"] for name, stage in manifest["stages"].items()},
        warnings=[f"{', '.join(names)}: {line}" for line, names in warnings.items()],
    )


def _place(folder: Path, stage: Stage) -> Path:
    return evaluation_of(folder, stage.of, stage.seed)


def _by_seed(of: Sequence[Stage], results: Sequence[Results], config: RunConfig) -> dict[int, Results]:
    """The results of each seed; greedy answers of the untrained model, asked for once, are those of every seed."""
    if len(of) == 1 and of[0].of not in config.arms:
        return dict.fromkeys(config.seeds, results[0])
    return {stage.seed: one for stage, one in zip(of, results, strict=True)}


def _arm(folder: Path, config: RunConfig, name: str, of: Sequence[Stage], results: Sequence[Results]) -> ArmResult:
    trained = name in config.arms
    places = [model_of(folder, name, stage.seed) for stage in of] if trained else []
    logs = [_log(place) for place in places]
    return ArmResult(
        name=name,
        trained=trained,
        start=config.arms[name].start if trained else None,
        seeds=[stage.seed for stage in of],
        evaluations=[str(_place(folder, stage).relative_to(folder)) for stage in of],
        figures=figures_over_seeds([one.summary for one in results]),
        curve=mean_curve([[curve_point(row) for row in log if "reward" in row] for log in logs]),
        loss=mean_curve(
            [[_some(row, ("step", "loss")) for row in log if "loss" in row and "reward" not in row] for log in logs]
        ),
        rollouts=[str((p / ROLLOUTS).relative_to(folder)) for p in places if (p / ROLLOUTS).exists()],
    )


def _differences(
    folder: Path, config: RunConfig, evaluated: Mapping[str, Sequence[Stage]], found: Mapping[str, Sequence[Results]]
) -> list[ArmDifference]:
    """Every arm against what it began with (the untrained model: with the tool), and against those that began there."""
    starts = {name: arm.start or ZERO_SHOT for name, arm in config.arms.items() if name in evaluated}
    pairs = [(start, name) for name, start in starts.items() if start in evaluated]
    pairs += [(first, second) for first, second in combinations(starts, 2) if starts[first] == starts[second]]
    differences = []
    for first, second in pairs:
        one, other = (_by_seed(evaluated[name], found[name], config) for name in (first, second))
        shared = [seed for seed in other if seed in one]
        if len(shared) > 1:
            for figure in COMPARED:
                values = [[of[seed].summary.get(figure, Estimate()).value for seed in shared] for of in (other, one)]
                found_difference = paired_over_seeds(*values)
                differences.append(
                    ArmDifference(
                        first=first, second=second, figure=figure, seeds=len(shared), difference=found_difference
                    )
                )
        elif shared:
            marked = [marks_of(_place(folder, evaluated[n][0]), found[n][0].judge) for n in (first, second)]
            differences += [
                ArmDifference(first=first, second=second, figure=pair.figure, seeds=1, difference=pair.difference)
                for pair in paired_differences(first, marked[0], second, marked[1])
                if pair.figure in COMPARED
            ]
    return differences


class _Logged(BaseModel):
    """A row of a trainer's log: the step, and what was measured, by name. A figure that diverged is NaN."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    step: int


def _log(place: Path) -> list[dict[str, Any]]:
    return [row.model_dump() for row in read_saved(place / LOG, list[_Logged])]


def curve_point(row: Mapping[str, float]) -> dict[str, float]:
    """What of a row of an RL log is drawn, with the selectivity of the step."""
    point = {key: row[key] for key in row if key in _CURVES or key.startswith(("reward_", "consult_rate"))}
    if "consult_rate_harmful" in row and "consult_rate_sensitive" in row:
        point["selectivity"] = row["consult_rate_harmful"] - row["consult_rate_sensitive"]
    return point


def _some(row: Mapping[str, float], keys: Sequence[str]) -> dict[str, float]:
    return {key: row[key] for key in keys if key in row}


def mean_curve(curves: Sequence[Sequence[Mapping[str, float]]]) -> list[dict[str, float | None]]:
    """The mean over seeds, step by step, as far as all of them go; None where no seed has a number."""
    found: list[dict[str, float | None]] = []
    for rows in zip(*curves, strict=False):
        point: dict[str, float | None] = {}
        for key in dict.fromkeys(key for row in rows for key in row):
            known = [row[key] for row in rows if math.isfinite(row.get(key, math.nan))]
            point[key] = fmean(known) if known else None
        found.append(point)
    return found


def _facts(config: RunConfig, manifest: Mapping[str, Any], found: Mapping[str, Sequence[Results]]) -> dict[str, Any]:
    """What was run, as a page shows it."""
    judges = list(dict.fromkeys(results.judge for of in found.values() for results in of))
    facts = {
        "Model": manifest["model"],
        "Seeds": config.seeds,
        "Date": manifest["created"],
        "Machine": manifest["machine"],
        "Rule book": manifest["facts"].get("rule book"),
        "Judge": ", ".join(judges) or None,
        "Versions": manifest["versions"],
    }
    if judges == ["offline"] and (calibration := _calibration()):
        facts["Calibration"] = calibration
    return facts


def _calibration() -> dict[str, Any] | None:
    """How the offline judge agrees with human labels, where `ASCL_BENCH_DIR` holds them."""
    labels = Path(os.environ.get("ASCL_BENCH_DIR", "")) / "refusal_judge_calibration" / "xstest_human_labels.jsonl"
    if not labels.is_file():
        return None
    measured = calibrate(load_calibration(labels))
    return {"agreement": measured.agreement, "low": measured.low, "high": measured.high, "human labels": measured.n}
