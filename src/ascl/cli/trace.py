"""`ascl eval trace`: how safe the thoughts of an evaluation are, on harmful and on sensitive prompts."""

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ascl.cli.entry import checked_options
from ascl.errors import InputError
from ascl.evals.metrics import left_out_warnings
from ascl.evals.results import Axis, read_evaluation, read_records, read_results
from ascl.evals.traces.intents import Classifier
from ascl.evals.traces.measure import measure_traces
from ascl.files import write_json
from ascl.folders import working_in
from ascl.progress import Screen
from ascl.stats import Estimate

AXES: tuple[Axis, ...] = ("safety", "over_refusal")
COUNTS = ("chunks", "reflection_rate")  # no shares


def trace(folder: Path, judge: str) -> None:
    """Measure the thoughts, write `trace.json` into the folder and print it.

    judge: `words`, or the chat model that labels the chunks (MODEL, or MODEL@URL). Raises InputError.
    """
    with working_in(folder):
        _trace(folder, judge)


def _trace(folder: Path, judge: str) -> None:
    evaluation, by = read_evaluation(folder), read_results(folder).judge
    classify, name = _classifier(judge, folder)
    found = {}
    for axis in AXES:
        names = [benchmark for benchmark, asked in evaluation.benchmarks.items() if asked.axis == axis]
        records = [record for benchmark in names for record in read_records(folder, by, benchmark)]
        if records:
            found[axis] = measure_traces(records, classify)
            del found[axis]["thought_entropy"]  # answers on disk have no log-probabilities
    if not found:
        raise InputError(f"{folder}: no benchmark of safety or over-refusal was asked, so there is no thought to judge")
    kept = {axis: {key: one.model_dump() for key, one in figures.items()} for axis, figures in found.items()}
    warnings = [line for axis, figures in found.items() for line in left_out_warnings(figures, f"{axis}, ")]
    write_json(folder / "trace.json", {"intents": name, "verdicts": by, "axes": kept, "warnings": warnings})
    table = Table(title=f"{evaluation.name}, thoughts: percent, and the 95 % interval", box=SIMPLE_HEAD)
    table.add_column("figure")
    for axis in found:
        table.add_column(axis.replace("_", "-"), justify="right")
    for key in next(iter(found.values())):
        table.add_row(key.replace("_", " "), *(_cell(key, figures[key]) for figures in found.values()))
    Screen().print(table)
    for line in (f"intents: {name}; verdicts on the answers: {by}", *(f"warning: {one}" for one in warnings)):
        Screen().say(line)


def _classifier(judge: str, folder: Path) -> tuple[Classifier, str]:
    if judge == "words":
        from ascl.evals.traces.word_intents import NAME, intents_by_words

        return intents_by_words, NAME
    from ascl.evals.traces.judged_intents import open_intents
    from ascl.judges.settings import ClaimsSettings, JudgeSettings

    model, _, url = judge.partition("@")
    if not model:
        raise InputError(f"--judge {judge}: use `words`, MODEL (in this process) or MODEL@URL (a server)")
    with checked_options():
        settings = ClaimsSettings(model=model, base_url=url or None)
    asked = open_intents(settings, JudgeSettings(), folder / "judge_replies.jsonl")
    return asked, asked.name


def _cell(key: str, figure: Estimate) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return "-"
    scale, digits = (1, 1) if key in COUNTS else (100, 0)
    value, low, high = (f"{scale * x:.{digits}f}" for x in (figure.value, figure.low, figure.high))
    unjudged = f", unjudged {100 * figure.unjudged:.1f} %" if figure.unjudged else ""
    return f"{value} [{low}, {high}], n {figure.n}{unjudged}"
