"""`ascl report FOLDER...`, the page of runs and evaluations, and what of them is printed: figures and warnings."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ascl.terminal import echo

if TYPE_CHECKING:
    from rich.text import Text

    from ascl.evals.arms import RunResults
    from ascl.evals.results import Results
    from ascl.stats import Estimate

COLUMNS = {
    "safety": "safety",
    "over_refusal": "over-\nrefusal",
    "reasoning": "reason-\ning",
    "h_avg": "H-avg",
    "separation": "sepa-\nration",
    "consult_harmful": "consult\nharmful",
    "selectivity": "selec-\ntivity",
    "tokens": "tokens",
}
BOOK_COLUMNS = {  # where the evaluation asked under edited books
    "adherence": "adher-\nence",
    "release": "release",
    "stability": "stabil-\nity",
    "rule_use": "rule\nuse",
}


def report(
    folders: Annotated[
        list[Path], typer.Argument(help="A run's folder, folders of `ascl eval`, or folders that hold some.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The page; default: report.html, in the run's folder where it is one run.")
    ] = None,
) -> None:
    """One page: what came out, trade-off, figures, paired differences, training, and every answer to read.

    Of a run alone: its arms over their seeds, training curves, times and rollouts. Of several folders: all their
    evaluations held against each other.
    """
    from ascl.errors import InputError
    from ascl.evals.results import find_evaluations
    from ascl.files import is_replaced
    from ascl.report.gather import is_run
    from ascl.report.page import build_page

    if len(folders) > 1 and str(folders[0]) in ("compare", "run") and not folders[0].is_dir():
        raise InputError(f"`ascl report {folders[0]} ..` is now `ascl report FOLDER...`: leave `{folders[0]}` out")
    run = folders[0] if len(folders) == 1 and is_run(folders[0]) else None
    target = out or (run or Path()) / "report.html"
    if target.is_dir():
        raise InputError(f"--out {target}: is a folder; name a file, e.g. {target / 'report.html'}")
    page = build_page([] if run else find_evaluations(folders), target, run)
    echo(f"report: {page}", err=not is_replaced(target))


def show_run(results: "RunResults") -> None:
    """The headline of a run, its arms over their seeds, and its warnings."""
    echo(results.headline)
    _print_figures({arm.name: arm.figures for arm in results.arms}, "arm")
    _print_left_out([one for arm in results.arms for one in arm.figures.values()], str(results.facts.get("Judge")))
    for warning in results.warnings:
        echo(f"warning: {warning}")


def show_evaluations(found: Mapping[str, "Results"]) -> None:
    """The figures of each variant, what each benchmark gave, how far the judges agree, and the warnings."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from ascl.progress import Screen

    _print_figures({name: results.summary for name, results in found.items()}, "variant")
    table = Table(title="score by benchmark", box=SIMPLE_HEAD, padding=(0, 1, 1, 1))
    table.add_column("benchmark", no_wrap=True)
    for variant in found:
        table.add_column(variant, justify="right")
    for name in dict.fromkeys(name for results in found.values() for name in results.benchmarks):
        table.add_row(name, *(_cell(results.benchmarks[name].figures["score"]) for results in found.values()))
    Screen().print(table)
    for judge in dict.fromkeys(results.judge for results in found.values()):
        of = [results for results in found.values() if results.judge == judge]
        _print_left_out((one.figures["score"] for results in of for one in results.benchmarks.values()), judge)
    for variant, results in found.items():
        for pair in results.agreement:
            same = " and ".join(
                f"{what} {100 * share:.0f} % (kappa {'-' if kappa is None else f'{kappa:.2f}'})"
                for what, share, kappa in (
                    ("safe", pair.safe, pair.safe_kappa),
                    ("refusal", pair.refusal, pair.refusal_kappa),
                )
                if share is not None
            )
            echo(
                f"{variant}: {pair.first} and {pair.second} agree on {pair.n} answers: {same or 'nothing to compare'}"
                f"; unjudged {100 * (pair.unjudged or 0.0):.1f} %"
            )
    warned: dict[str, list[str]] = {}
    for variant, results in found.items():
        for warning in results.warnings:
            warned.setdefault(warning, []).append(variant)
    for warning, variants in warned.items():
        echo(f"{', '.join(variants)}: {warning}")


def _print_figures(rows: Mapping[str, Mapping[str, "Estimate"]], of: str) -> None:
    """A row for each name: its figures in percent, with their intervals."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from ascl.progress import Screen

    table = Table(title="percent, and the 95 % interval", box=SIMPLE_HEAD, padding=(0, 0, 1, 0))
    table.add_column(of, no_wrap=True)
    shown = COLUMNS | (BOOK_COLUMNS if any("adherence" in figures for figures in rows.values()) else {})
    for title in shown.values():
        table.add_column(title, justify="right")
    for name, figures in rows.items():
        table.add_row(name, *(_cell(figures.get(key), 1 if key == "tokens" else 100) for key in shown))
    Screen().print(table)


def _cell(figure: "Estimate | None", scale: float = 100) -> "str | Text":
    """A figure, its interval below it, and below that the shares of what could not count in it."""
    from rich.text import Text

    from ascl.evals.metrics import LEFT_OUT
    from ascl.judges.calibrate import WARN_ABOVE

    if figure is None:
        return "-"
    lines: list[str | Text] = ["-"]
    if figure.value is not None and figure.low is not None and figure.high is not None:
        lines = [f"{scale * figure.value:.0f}", f"{scale * figure.low:.0f} to {scale * figure.high:.0f}"]
    for what in LEFT_OUT:
        if share := getattr(figure, what):
            text = f"{100 * share:.1f} %\n{what.replace('_', ' ')}"
            lines.append(Text(text, "bold yellow" if what != "no_answer" and share > WARN_ABOVE else ""))
    return Text("\n").join(map(Text.assemble, lines))


def _print_left_out(figures: Iterable["Estimate"], judge: str | None) -> None:
    """The judge, and the largest shares of answers that could not be read."""
    listed = list(figures)
    said = [
        f"{what} {100 * max((getattr(one, what) or 0.0 for one in listed), default=0.0):.1f} %"
        for what in ("unjudged", "unparsed")
    ]
    echo(f"judge: {judge or 'not named'}; of the answers to any figure at most {', '.join(said)}")
