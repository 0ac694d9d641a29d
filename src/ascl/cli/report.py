"""`ascl report FOLDER` and `ascl report compare FOLDER...`: the pages."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ascl.cli.entry import bad_input
from ascl.terminal import echo


class _FolderFirst(TyperGroup):
    """`ascl report FOLDER` is short for `ascl report run FOLDER`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first argument names, else `run`."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["run", *args])


report_app = typer.Typer(cls=_FolderFirst, no_args_is_help=True, help="Pages from run folders and evaluations.")


@report_app.command()
def run(folder: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Build report.html of a run folder again (`ascl report FOLDER` is enough)."""
    from ascl.report.page import build_report

    with bad_input(folder):
        page = build_report(folder)
    echo(f"report: {page}")


@report_app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders of `ascl eval`, or folders that hold some.")],
    out: Annotated[Path, typer.Option(help="The page.")] = Path("compare.html"),
) -> None:
    """One page that holds evaluations against each other: trade-off, benchmarks, significance, answers side by side."""
    from itertools import combinations

    from ascl.errors import InputError
    from ascl.evals.paired import paired_differences
    from ascl.evals.results import find_evaluations
    from ascl.evals.suite import marks_of
    from ascl.files import is_replaced
    from ascl.progress import progress_bar
    from ascl.report.compare.gather import read_compared
    from ascl.report.compare.page import build_comparison

    if out.is_dir():
        raise InputError(f"--out {out}: is a folder; name a file, e.g. {out / 'compare.html'}")
    found = read_compared(find_evaluations(folders))
    pairs = []
    marked = {one.name: marks_of(one.folder, one.results.judge) for one in found}
    both = list(combinations(marked, 2))
    with progress_bar("pairs", len(both)) as progress:
        for done, (first, second) in enumerate(both, 1):
            pairs += paired_differences(first, marked[first], second, marked[second])
            progress(done)
    page = build_comparison([one.folder for one in found], pairs, out)
    echo(f"report: {page}", err=not is_replaced(out))
