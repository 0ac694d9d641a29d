"""`ascl report FOLDER...`: the page of a run or of evaluations."""

from pathlib import Path
from typing import Annotated

import typer

from ascl.terminal import echo


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
