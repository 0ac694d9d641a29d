"""`ascl eval`: measure a model on a suite of benchmarks, judge answers again, calibrate a judge."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ascl import ranges
from ascl.cli.entry import checked_options
from ascl.cli.report import show_evaluations
from ascl.errors import InputError
from ascl.judges.named import DEFAULT, HELP
from ascl.terminal import echo

if TYPE_CHECKING:
    from ascl.evals.results import Axis
    from ascl.evals.traces.intents import Classifier
    from ascl.stats import Estimate

eval_app = typer.Typer(help="Measure a model: safety, over-refusal, reasoning, and what it costs.")

Judges = Annotated[
    list[str], typer.Option("--judge", help=f"{HELP}. Several may be named; the first one's figures count.")
]

THOUGHT_AXES: tuple["Axis", ...] = ("safety", "over_refusal")
THOUGHT_COUNTS = ("chunks", "reflection_rate")  # no shares


@eval_app.callback(invoke_without_command=True)
def evaluate(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Option(help="`embedded`, a hub id, a local folder, or the name it is served under.")
    ] = None,
    suite: Annotated[
        str,
        typer.Option(
            help="quick, paper, safety, overrefusal, reasoning; benchmarks separated by commas; or prompts: starter, "
            "starter:N, file:PATH, a public set."
        ),
    ] = "quick",
    books: Annotated[
        bool,
        typer.Option("--books", help="Ask besides under edited rule books: adherence, release, stability, rule use."),
    ] = False,
    variant: Annotated[
        str, typer.Option(help="pure, short, long, rag, ascl (the consult tool); several separated by commas.")
    ] = "ascl",
    judge: Judges = [DEFAULT],  # noqa: B006
    out: Annotated[
        Path | None, typer.Option(help="Folder; each variant gets one in it (default: runs/eval-MODEL).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What reports call it (default: MODEL), with the variant.")] = None,
    base_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible server; without it, in this process.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, max=ranges.PROMPTS, help="Prompts per benchmark (0: all; 50 in `quick`).")
    ] = 0,
    epochs: Annotated[int, typer.Option(min=0, max=ranges.ANSWERS, help="Answers per prompt (0: as the paper).")] = 0,
    greedy: Annotated[bool, typer.Option(help="Every prompt once, at temperature 0.")] = False,
    skip_missing: Annotated[bool, typer.Option(help="Leave benchmarks out whose sets can't be read.")] = False,
    max_tokens: Annotated[
        int, typer.Option(min=0, max=ranges.TOKENS, help="Tokens of one model turn (0: as the benchmark says).")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, max=2**30)] = 0,
    rules: Annotated[str, typer.Option(help="`default`, or a rule book's folder.")] = "default",
    embedding_model: Annotated[str | None, typer.Option(help="Search the rules with it instead of BM25.")] = None,
    top_k: Annotated[int, typer.Option(min=1, max=20, help="Rules a look-up returns.")] = 3,
    exemptions: Annotated[
        bool, typer.Option("--exemptions/--no-exemptions", help="Show a rule with what it allows.")
    ] = True,
    topics: Annotated[
        bool, typer.Option("--topics/--no-topics", help="Name the book's categories in the system text.")
    ] = True,
    dialect: Annotated[str | None, typer.Option(help="How the model writes thoughts and calls, if not found.")] = None,
    dtype: Annotated[str, typer.Option(help="In this process: bfloat16, float32, or auto.")] = "auto",
    batch: Annotated[int, typer.Option(min=1, max=ranges.BATCH, help="Prompts answered at once in this process.")] = 32,
    concurrency: Annotated[
        int, typer.Option(min=1, max=ranges.CONCURRENCY, help="Prompts answered at once on a server.")
    ] = 64,
    fail_under: Annotated[
        list[str],
        typer.Option(help="FIGURE=VALUE, e.g. h_avg=0.8: exit with 1 where a variant is below it. Several may be set."),
    ] = [],  # noqa: B006
    check: Annotated[
        bool, typer.Option("--check", help="Look whether all is there that it needs, print what is to do, and stop.")
    ] = False,
) -> None:
    """Measure a model on a suite, in one or several prompt variants. Run it again to resume."""
    if context.invoked_subcommand is not None:
        return
    from ascl.evals.evaluate import Subject
    from ascl.evals.fail_under import bars_of, below
    from ascl.evals.settings import EvalSettings
    from ascl.evals.variants import check_variants, evaluate_variants, plan_variants, variants_of
    from ascl.judges.named import judge_settings

    if model is None:
        raise InputError("ascl eval: name a --model (`embedded`, a hub id, a folder, or a served model's name)")
    bars = bars_of(fail_under)
    with checked_options():
        settings = EvalSettings(
            suite=suite,
            books=books,
            variants=variants_of(variant),
            judges=[judge_settings(one) for one in judge],
            limit=limit,
            epochs=epochs,
            greedy=greedy,
            max_tokens=max_tokens,
            seed=seed,
            skip_missing=skip_missing,
            batch=batch,
            concurrency=concurrency,
        )
    subject = Subject(model=model, name=name or "", base_url=base_url or None, dialect=dialect, dtype=dtype, seed=seed)
    planned = plan_variants(subject, settings, out, rules, embedding_model, top_k, exemptions, topics)
    lines = check_variants(planned)
    if check:
        echo("\n".join(lines))
        return
    found = evaluate_variants(planned)
    show_evaluations(found)
    echo(f"folders: {', '.join(str(one.folder) for one in planned)}")
    if missed := below(found, bars):
        for line in missed:
            echo(line, err=True)
        raise typer.Exit(1)


@eval_app.command()
def rejudge(
    log: Annotated[Path, typer.Argument(help="A folder of `ascl eval`, or an Inspect log (.eval) of our tasks.")],
    judge: Judges = [DEFAULT],  # noqa: B006
    rules: Annotated[
        str | None, typer.Option(help="What `safeguard` and `book` judge by (default: the evaluation's rules).")
    ] = None,
) -> None:
    """Judge answers again that are on disk, without asking the model."""
    from ascl.evals.rejudge import rejudge as judge_again
    from ascl.evals.results import find_evaluations
    from ascl.judges.named import judge_settings
    from ascl.preflight import check_servers, judge_servers

    judges = [judge_settings(one) for one in judge]
    check_servers(server for one in judges for server in judge_servers(one))
    if log.suffix == ".eval":
        from ascl.adapters.inspect.logs import evaluation_from_log

        folders = [evaluation_from_log(log, log.with_suffix(""))]
    else:
        folders = find_evaluations([log])
    show_evaluations(judge_again(folders, judges, rules))


@eval_app.command()
def trace(
    folder: Annotated[Path, typer.Argument(help="A folder of `ascl eval`.")],
    judge: Annotated[
        str, typer.Option(help="Who labels the steps: `words` (patterns, weak), MODEL in this process, or MODEL@URL.")
    ] = "words",
) -> None:
    """How safe the thoughts are: risk and defence in their steps, and whether a safe answer covers a risky thought."""
    from ascl.evals.results import find_evaluations
    from ascl.folders import working_in

    for one in find_evaluations([folder]):
        with working_in(one):
            _measure_thoughts(one, judge)


def _measure_thoughts(folder: Path, judge: str) -> None:
    """Measure the thoughts of an evaluation, write `trace.json` into its folder and print it. Raises InputError."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from ascl.evals.metrics import left_out_warnings
    from ascl.evals.results import read_evaluation, read_records, read_results
    from ascl.evals.traces.measure import measure_traces
    from ascl.files import write_json
    from ascl.progress import Screen

    evaluation, by = read_evaluation(folder), read_results(folder).judge
    classify, name = _thought_judge(judge, folder)
    found = {}
    for axis in THOUGHT_AXES:
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
        table.add_row(key.replace("_", " "), *(_thought_cell(key, figures[key]) for figures in found.values()))
    Screen().print(table)
    for line in (f"intents: {name}; verdicts on the answers: {by}", *(f"warning: {one}" for one in warnings)):
        echo(line)


def _thought_judge(judge: str, folder: Path) -> tuple["Classifier", str]:
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


def _thought_cell(key: str, figure: "Estimate") -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return "-"
    scale, digits = (1, 1) if key in THOUGHT_COUNTS else (100, 0)
    value, low, high = (f"{scale * x:.{digits}f}" for x in (figure.value, figure.low, figure.high))
    unjudged = f", unjudged {100 * figure.unjudged:.1f} %" if figure.unjudged else ""
    return f"{value} [{low}, {high}], n {figure.n}{unjudged}"


@eval_app.command()
def inspect(
    folder: Annotated[Path, typer.Argument(help="A folder of `ascl eval`.")],
    out: Annotated[Path | None, typer.Option(help="Where the logs go (default: `logs` in each evaluation).")] = None,
) -> None:
    """Write an evaluation as Inspect logs, one a benchmark, for `inspect view`."""
    from ascl.adapters.inspect.logs import write_logs
    from ascl.evals.results import find_evaluations, read_results

    for one in find_evaluations([folder]):
        for path in write_logs(one, out or one / "logs", read_results(one).judge):
            echo(path)


@eval_app.command()
def calibrate(
    labels: Annotated[Path, typer.Argument(help="JSONL of replies with human refusal labels (XSTest's form).")],
    judge: Annotated[str, typer.Option(help=HELP)] = "offline",
) -> None:
    """How far a judge agrees with human labels."""
    from ascl.judges.calibrate import calibrate, format_calibration, load_calibration
    from ascl.judges.named import judge_settings
    from ascl.judges.open_judge import open_judge
    from ascl.rules.book import RuleBook

    rows = load_calibration(labels)
    cache = labels.with_name(f"{labels.name}.judge_replies.jsonl")
    echo(format_calibration(calibrate(rows, open_judge(judge_settings(judge), RuleBook.load("default"), cache))))


@eval_app.command("refusal-direction")
def refusal_direction(
    model: Annotated[Path, typer.Argument(help="The folder of a trained model, e.g. runs/quickstart/arms/bc-0.")],
    base: Annotated[str | None, typer.Option(help="What it was trained from, if its folder does not say.")] = None,
    prompts: Annotated[str, typer.Option(help="A source of harmful and plain prompts, as a run names it.")] = "starter",
    out: Annotated[Path | None, typer.Option(help="Also write the figures as JSON.")] = None,
) -> None:
    """How far training has moved the refusal direction of each layer."""
    from rich.table import Table

    from ascl.evals.refusal_direction import measure_drift
    from ascl.files import is_replaced, write_json
    from ascl.preflight import check_file
    from ascl.progress import Screen

    if out:
        check_file(out)
    found = measure_drift(str(model), base, prompts)
    table = Table("layer", "cosine", "harmful moved", "plain moved", box=None, padding=(0, 2, 0, 0))
    for one in found:
        table.add_row(str(one.layer), f"{one.cosine:.3f}", f"{one.harmful:+.3f}", f"{one.plain:+.3f}")
    Screen(stderr=out is not None and not is_replaced(out)).print(table)
    if out:
        write_json(out, [one.model_dump() for one in found])
