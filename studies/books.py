"""Does behaviour follow an edited rule book? One table of the arms of runs.

    ascl run books --processes 2                                             # three seeds, with and without books
    python studies/books.py runs/books                                       # the table

A second run with `rules: {source: default, top_k: 2, exemptions: false}` shows what exemptions do: name both folders.
The figures are those of `docs/eval.md`: means over the seeds with Student's interval, in percent.
"""

import argparse
from pathlib import Path

from ascl.evals.arms import RunResults
from ascl.saved import read_saved
from ascl.stats import Estimate

FIGURES = ("safety", "over_refusal", "adherence", "release", "stability", "rule_use", "release_harmful")


def shown(figure: Estimate | None) -> str:
    """A figure in percent with its interval."""
    if figure is None or figure.value is None:
        return "-"
    if figure.low is None or figure.high is None:
        return f"{100 * figure.value:.0f}"
    return f"{100 * figure.value:.0f} [{100 * figure.low:.0f}, {100 * figure.high:.0f}]"


def main() -> None:
    """Read the runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of `ascl run`")
    print(f"| run | arm | seeds | {' | '.join(name.replace('_', ' ') for name in FIGURES)} |")
    print("|" + "---|" * (3 + len(FIGURES)))
    for folder in parser.parse_args().runs:
        found = read_saved(folder / "results.json", RunResults)
        for arm in found.arms:
            cells = " | ".join(shown(arm.figures.get(name)) for name in FIGURES)
            print(f"| {found.name} | {arm.name} | {len(arm.seeds)} | {cells} |")
        print(f"\nJudge: {found.facts.get('Judge')}. {found.facts.get('Machine', '')}\n")


if __name__ == "__main__":
    main()
