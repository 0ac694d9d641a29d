"""RL arms side by side over several runs of one configuration with different seeds (configs/rivals.yaml).

    python studies/rivals.py runs/rivals-0 runs/rivals-1 runs/rivals-2

Prints the mean of every figure over the runs with Student's 95 % interval, and for each arm its paired difference from
GRPO. Runs that lack an arm are left out of that arm's row.
"""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ascl.inputs import read_json
from ascl.stats import Estimate, over_seeds, paired_over_seeds

FIGURES = ("safety", "over_refusal", "reasoning", "h_avg", "consult_harmful", "consult_sensitive", "selectivity")


def shown(interval: Estimate, sign: str = "") -> str:
    """Percent, with the interval where there is one."""
    if interval.value is None:
        return "-"
    text = f"{100 * interval.value:{sign}.0f}"
    return (
        text
        if interval.low is None or interval.high is None
        else f"{text} [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"
    )


def figure(metrics: dict[str, Any], arm: str, name: str) -> float | None:
    """One figure of one run, or None."""
    return (metrics["variants"].get(arm, {}).get(name) or {}).get("value")


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders of `ascl run`")
    runs = [read_json(folder / "metrics.json") for folder in parser.parse_args().runs]
    arms = list(dict.fromkeys(arm for metrics in runs for arm in metrics["variants"]))
    console = Console()
    for title, against in (("mean over runs", None), ("difference from grpo", "grpo")):
        table = Table(title=f"{title}, percent, {len(runs)} runs")
        table.add_column("arm")
        for name in FIGURES:
            table.add_column(name, justify="right")
        for arm in arms:
            if arm == against:
                continue
            cells = []
            for name in FIGURES:
                own = [figure(m, arm, name) for m in runs]
                if against is None:
                    cells.append(shown(over_seeds(own)))
                else:
                    cells.append(shown(paired_over_seeds(own, [figure(m, against, name) for m in runs]), "+"))
            table.add_row(arm, *cells)
        console.print(table)


if __name__ == "__main__":
    main()
