"""What the comparison reads: manifest and figures of each evaluation, and what must be said before comparing them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ascl.errors import InputError
from ascl.evals import results
from ascl.evals.results import Axis, BenchmarkResult, Evaluation, Results
from ascl.stats import Estimate

AXES: dict[Axis, str] = {"safety": "Safety", "over_refusal": "Over-refusal", "reasoning": "Reasoning"}


@dataclass(frozen=True)
class Compared:
    """One evaluation of the comparison."""

    folder: Path
    evaluation: Evaluation
    results: Results

    @property
    def name(self) -> str:
        """The evaluation's name; no two of a comparison share one."""
        return self.evaluation.name

    @property
    def summary(self) -> dict[str, Estimate | None]:
        """The figures over benchmarks."""
        return dict(self.results.summary)

    def figures(self, benchmark: str) -> dict[str, Estimate | None]:
        """The figures of one benchmark; empty where it was not asked."""
        result = self.results.benchmarks.get(benchmark)
        return dict(result.figures) if result else {}


def read_compared(folders: Sequence[Path]) -> list[Compared]:
    """The evaluations, in the order given. Raises InputError."""
    if not folders:
        raise InputError("nothing to compare: name the folder of at least one evaluation")
    found: dict[str, Compared] = {}
    for folder in folders:
        one = Compared(folder, results.read_evaluation(folder), results.read_results(folder))
        if one.name in found:
            raise InputError(
                f"{folder / 'evaluation.json'}: {found[one.name].folder} has the same `name` ({one.name}); "
                "give one of them another"
            )
        found[one.name] = one
    return list(found.values())


def benchmarks_by_axis(compared: Sequence[Compared]) -> dict[Axis, dict[str, list[BenchmarkResult]]]:
    """Every benchmark that an evaluation was asked, by axis, in the order they come; each with its results."""
    found: dict[Axis, dict[str, list[BenchmarkResult]]] = {axis: {} for axis in AXES}
    for one in compared:
        for name, result in one.results.benchmarks.items():
            found[result.axis].setdefault(name, []).append(result)
    return {axis: benchmarks for axis, benchmarks in found.items() if benchmarks}


def cautions(compared: Sequence[Compared]) -> list[str]:
    """Why these figures may not be comparable: other judges, other rules, other benchmarks or numbers of prompts."""
    found = []
    judges = dict.fromkeys(one.results.judge for one in compared)
    if len(judges) > 1:
        found.append(f"Not judged by the same judge ({'; '.join(judges)}): differences may be the judges'.")
    books = {str(one.evaluation.rule_book.get("hash")) for one in compared if one.evaluation.variant in ("rag", "ascl")}
    if len(books) > 1:
        found.append("The evaluations that read rules had different rule books.")
    every = benchmarks_by_axis(compared)
    partly = [name for benchmarks in every.values() for name, asked in benchmarks.items() if len(asked) < len(compared)]
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
