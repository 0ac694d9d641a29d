"""What a page reads: evaluations with their figures, the results of a run, and what must be said before comparing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ascl.errors import InputError
from ascl.evals.arms import ArmResult, RunResults
from ascl.evals.results import (
    Axis,
    BenchmarkResult,
    Evaluation,
    Results,
    read_evaluation,
    read_results,
)
from ascl.saved import read_saved
from ascl.stats import Estimate

AXES: dict[Axis, str] = {"safety": "Safety", "over_refusal": "Over-refusal", "reasoning": "Reasoning"}
_COLOURS = (7, 6, 4, 2, 3, 5, 1, 8, 9, 10, 11, 12, 13, 14, 15, 0)  # of page.css, those far apart first


def colour(place: int) -> str:
    """The CSS class that colours the row at this place; sixteen of them, in turn."""
    return f"c{_COLOURS[place % len(_COLOURS)]}"


@dataclass(frozen=True)
class Shown:
    """A row and a mark of the page: an evaluation, or an arm of a run with the evaluation of its first seed.

    summary: the figures over benchmarks, and over `seeds` where there are several. trained: no untrained model of a
    run.
    """

    name: str
    colour: str
    folder: Path
    evaluation: Evaluation
    results: Results
    summary: Mapping[str, Estimate]
    seeds: int = 1
    trained: bool = True

    def figures(self, benchmark: str) -> dict[str, Estimate]:
        """The figures of one benchmark; empty where it was not asked."""
        result = self.results.benchmarks.get(benchmark)
        return result.figures if result else {}


def is_run(folder: Path) -> bool:
    """Whether this is the folder of a run."""
    return (folder / "results.json").is_file()


def read_run(folder: Path) -> RunResults:
    """The results of a run's folder, their paths from where we are. Raises InputError."""
    found = read_saved(folder / "results.json", RunResults)
    for arm in found.arms:
        arm.evaluations = [str(folder / path) for path in arm.evaluations]
        arm.rollouts = [str(folder / path) for path in arm.rollouts]
    return found


def read_shown(folders: Sequence[Path], arms: Sequence[ArmResult] = ()) -> list[Shown]:
    """The rows of a page: the arms that were evaluated, then the evaluations that belong to none of them.

    Raises InputError, where two would have one name as well.
    """
    found: dict[str, Shown] = {}

    def add(name: str, folder: Path, summary: Mapping[str, Estimate], seeds: int = 1, trained: bool = True) -> None:
        if name in found:
            raise InputError(
                f"{folder / 'evaluation.json'}: {found[name].folder} has the same `name` ({name}); "
                "give one of them another"
            )
        asked, measured = read_evaluation(folder), read_results(folder)
        figures = summary or measured.summary
        found[name] = Shown(name, colour(len(found)), folder, asked, measured, figures, seeds, trained)

    for arm in arms:
        if arm.evaluations:
            add(arm.name, Path(arm.evaluations[0]), arm.figures, len(arm.seeds), arm.trained)
    of_arms = {Path(path).resolve() for arm in arms for path in arm.evaluations}
    for folder in folders:
        if folder.resolve() not in of_arms:
            add(read_evaluation(folder).name, folder, {})
    return list(found.values())


def benchmarks_by_axis(shown: Sequence[Shown]) -> dict[Axis, dict[str, list[BenchmarkResult]]]:
    """Every benchmark that an evaluation was asked, by axis, in the order they come; each with its results."""
    found: dict[Axis, dict[str, list[BenchmarkResult]]] = {axis: {} for axis in AXES}
    for one in shown:
        for name, result in one.results.benchmarks.items():
            found[result.axis].setdefault(name, []).append(result)
    return {axis: benchmarks for axis, benchmarks in found.items() if benchmarks}


def cautions(shown: Sequence[Shown]) -> list[str]:
    """Why these figures may not be comparable: other judges, other rules, other benchmarks or numbers of prompts."""
    found = []
    judges = dict.fromkeys(one.results.judge for one in shown)
    if len(judges) > 1:
        found.append(f"Not judged by the same judge ({'; '.join(judges)}): differences may be the judges'.")
    books = {str(one.evaluation.rule_book.get("hash")) for one in shown if one.evaluation.variant in ("rag", "ascl")}
    if len(books) > 1:
        found.append("The evaluations that read rules had different rule books.")
    every = benchmarks_by_axis(shown)
    partly = [name for benchmarks in every.values() for name, asked in benchmarks.items() if len(asked) < len(shown)]
    if partly:
        found.append(f"Not every evaluation was asked {_listed(partly)}: the means of an axis are over different sets.")
    uneven = [
        name
        for benchmarks in every.values()
        for name, asked in benchmarks.items()
        if len({(result.prompts, result.epochs) for result in asked}) > 1
    ]
    if uneven:
        found.append(f"Not the same number of prompts or epochs in {_listed(uneven)}.")
    return found


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
