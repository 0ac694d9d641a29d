"""An evaluation's folder from answers to figures: answers, verdicts, metrics. Every step resumes from its files."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from ascl.consult.tool import ConsultTool
from ascl.data.prompt import Prompt
from ascl.errors import InputError
from ascl.evals.benchmarks import BENCHMARKS, SUITES
from ascl.evals.books import book_figures, has_books
from ascl.evals.collect import collect
from ascl.evals.judging import judge_answers, read_verdicts
from ascl.evals.metrics import left_out_warnings
from ascl.evals.results import (
    BenchmarkResult,
    Evaluation,
    JudgeAgreement,
    Results,
    read_evaluation,
    read_records,
    verdicts_path,
)
from ascl.evals.scores import Marked, benchmark_figures, mark, summary
from ascl.files import write_json
from ascl.folders import is_empty
from ascl.inputs import lines
from ascl.judges.agreement import agreement_of
from ascl.judges.judge import Judge
from ascl.models.sampling import Client
from ascl.progress import progress_bar
from ascl.provenance import changes
from ascl.sampling.to_file import Budget, rejected_path, rejections

# What may differ between the runs that fill one folder: the last run says what these are, the first run those.
BY_LAST = ("name", "base_url", "reward_judge")
BY_FIRST = ("created", "machine", "versions")


def open_folder(folder: Path, evaluation: Evaluation) -> Evaluation:
    """Make the folder of an evaluation, or pick it up. Raises InputError where it holds answers of another one."""
    evaluation = check_folder(folder, evaluation)
    write_json(folder / "evaluation.json", evaluation.model_dump(mode="json"))
    return evaluation


def check_folder(folder: Path, evaluation: Evaluation) -> Evaluation:
    """The evaluation as its folder takes it. Raises InputError where the folder holds another one, or other files."""
    if not (folder / "evaluation.json").exists():
        if not is_empty(folder):
            raise InputError(f"{folder}: is not empty and holds no evaluation; name another --out")
    elif any(path.stat().st_size for path in folder.glob("trajectories/*.jsonl")):
        before = read_evaluation(folder)
        if changes := _changes(before, evaluation):
            raise InputError(f"{folder}: holds answers with another {changes}; name another --out")
        return before.model_copy(update={name: getattr(evaluation, name) for name in BY_LAST})
    return evaluation


def _changes(before: Evaluation, now: Evaluation) -> str:
    """In what two evaluations differ that answers depend on."""
    old, new = (one.model_dump(mode="json", exclude={*BY_LAST, *BY_FIRST}) for one in (before, now))
    for one in (old, new):
        one["rule_book"] = {"embedding_model": None, "exemptions": True} | one["rule_book"]  # noted where they differ
    if list(before.benchmarks) != list(now.benchmarks):
        old["benchmarks"], new["benchmarks"] = (", ".join(one.benchmarks) for one in (before, now))
    return ", ".join(changes(old, new))


def collect_answers(
    folder: Path,
    evaluation: Evaluation,
    prompts: dict[str, list[Prompt]],
    client: Client,
    tool: ConsultTool,
    chunk: int = 32,
    budget: Budget | None = None,
    judges: Sequence[str] = (),
) -> None:
    """Walk the prompts of every benchmark into the evaluation's folder; a second call asks nothing a second time.

    judges: those whose verdicts will be there. Their folders are made now: where that fails, nothing was asked.
    """
    evaluation = open_folder(folder, evaluation)
    for judge in judges:
        verdicts_path(folder, judge, "any").parent.mkdir(parents=True, exist_ok=True)
    for name, asked in evaluation.benchmarks.items():
        path = folder / "trajectories" / f"{name}.jsonl"
        with progress_bar(f"{evaluation.name}: {name}", asked.prompts * asked.epochs) as progress:
            collect(path, prompts[name], asked, evaluation.variant, client, tool, chunk, budget, progress)


def judge_names(judges: Sequence[Judge]) -> list[str]:
    """The names of the judges. Raises InputError where two have one name: they could not be told apart."""
    names = [judge.name for judge in judges]
    if len(set(names)) < len(names):
        raise InputError(f"two judges are called {max(names, key=names.count)}; serve one of them under another name")
    return names


def lacking(folder: Path, evaluation: Evaluation, judges: Sequence[str]) -> dict[str, tuple[int, int]]:
    """How many answers, and how many verdicts of the judges together, each benchmark of a folder still lacks."""
    refused = _refused(folder)
    found = {}
    for name, asked in evaluation.benchmarks.items():
        wanted = asked.prompts * asked.epochs - refused[name]
        there = [folder / "trajectories" / f"{name}.jsonl", *(verdicts_path(folder, judge, name) for judge in judges)]
        answers, *verdicts = (max(wanted - len(_whole_lines(path)), 0) for path in there)
        found[name] = answers, sum(verdicts)
    return found


def _refused(folder: Path) -> Counter[str]:
    """How many prompts of each benchmark the server refused for good."""
    return Counter(failure.stage for failure in rejections(folder / "trajectories" / "any"))


def _whole_lines(path: Path) -> list[bytes]:
    """The lines of a file that a kill may have torn; none where there is no file."""
    return [line for _, line in lines(path) if line.endswith(b"\n")] if path.exists() else []


def judge_evaluation(folder: Path, judges: Sequence[Judge], again: bool = False) -> Results:
    """The verdicts of all judges on the answers that are there, and `metrics.json` by the first of them.

    again: no old verdict is kept. Raises InputError where two judges have one name: they could not be told apart.
    """
    evaluation = read_evaluation(folder)
    names = judge_names(judges)
    for judge in judges:
        for name, asked in evaluation.benchmarks.items():
            with progress_bar(f"{judge.name}: {name}", asked.prompts * asked.epochs) as progress:
                judge_answers(folder, name, judge, again, progress)
    results = measure_evaluation(folder, names)
    write_json(folder / "metrics.json", results.model_dump(mode="json"))
    return results


def marks_of(folder: Path, judge: str) -> dict[str, Marked]:
    """The marks of every benchmark of an evaluation, by one judge's verdicts."""
    return {
        name: Marked(
            asked.axis, asked.macro, [mark(record, asked.axis) for record in read_records(folder, judge, name)]
        )
        for name, asked in read_evaluation(folder).benchmarks.items()
    }


def measure_evaluation(folder: Path, judges: Sequence[str]) -> Results:
    """The figures by the first judge, how far the judges agree, and what a reader must know."""
    evaluation = read_evaluation(folder)
    marked = marks_of(folder, judges[0])
    results = {
        name: BenchmarkResult(
            axis=asked.axis,
            kind=asked.kind,
            prompts=asked.prompts,
            rows=asked.rows,
            epochs=asked.epochs,
            macro=asked.macro,
            figures=benchmark_figures(marked[name].marks, name),
        )
        for name, asked in evaluation.benchmarks.items()
    }
    over = summary(results)
    if has_books(evaluation.benchmarks):
        over |= book_figures(lambda name: read_records(folder, judges[0], name))
    agreement = []
    for first, second in combinations(judges, 2):
        verdicts = [
            [v for name in evaluation.benchmarks for v in read_verdicts(folder, j, name)] for j in (first, second)
        ]
        agreement.append(JudgeAgreement(first=first, second=second, **agreement_of(*verdicts).model_dump()))
    return Results(
        judge=judges[0],
        benchmarks=results,
        summary=over,
        agreement=agreement,
        warnings=[
            *left_out_warnings({name: result.figures["score"] for name, result in results.items()}),
            *_warnings(folder, evaluation, judges[0], marked),
        ],
    )


def _warnings(folder: Path, evaluation: Evaluation, judge: str, marked: dict[str, Marked]) -> list[str]:
    found = []
    if absent := [name for name in SUITES.get(evaluation.suite, ()) if name not in evaluation.benchmarks]:
        found.append(f"suite {evaluation.suite}: without {', '.join(absent)}")
    if evaluation.reward_judge == judge:
        found.append(
            f"{judge} gave the reward in this model's training as well: its verdict is no independent evidence"
        )
    rejected, refused = rejected_path(folder / "trajectories" / "any"), _refused(folder)
    for name, asked in evaluation.benchmarks.items():
        if asked.prompts < asked.rows and name in BENCHMARKS:
            found.append(f"{name}: {asked.prompts} of {asked.rows} prompts")
        if refused[name]:
            found.append(f"{name}: the server refused {refused[name]} prompts (see {rejected})")
        if missing := asked.prompts * asked.epochs - len(marked[name].marks) - refused[name]:
            found.append(f"{name}: {missing} answers are missing; run the same `ascl eval` again")
    return found
