"""The arms of `studies/dgr.py` beside each other: refusal, over-refusal, reasoning, and how far each set lay.

    python studies/dgr_table.py runs/dgr

Percent with 95 % intervals, after a semicolon the prompts without an answer; NLL and KL in nats a token. Ends with the
correlation over arms of each measure of shift with the accuracy that was lost.
"""

import argparse
from pathlib import Path
from typing import Any

from ascl.errors import InputError
from ascl.inputs import read_json
from ascl.stats import pearson

Figures = dict[str, Any]
REASONING = ("gsm8k", "arc_challenge")
COLUMNS = {
    "strongreject": "StrongREJECT refused",
    "seen": "seen categories refused",
    "held_out": "held-out categories refused",
    "xstest": "XSTest safe, refused",
    "gsm8k": "GSM8K",
    "arc_challenge": "ARC-C",
}


def main() -> None:
    """Read the arms and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    arms = {path.stem: read_json(path) for path in (folder / "arms").glob("*.json")}
    if "none" not in arms:
        raise InputError(f"{folder}: holds no untrained arm (arms/none.json); run studies/dgr.py first")
    print("\n".join([*table(arms), "", *correlations(arms)]))


def table(arms: dict[str, Figures]) -> list[str]:
    """A line an arm, the smallest training sets first."""
    lines = [
        f"| arm | rows | NLL thought | NLL answer | similarity | KL | {' | '.join(COLUMNS.values())} |",
        f"|---|{'---:|' * (5 + len(COLUMNS))}",
    ]
    for label, figures in sorted(arms.items(), key=lambda arm: (arm[1].get("rows", 0), arm[0])):
        alike = figures.get("similarity", {}).get("value")
        cells = [label, str(figures.get("rows", ""))]
        cells += [_nll(figures.get("nll", {}).get(segment)) for segment in ("thought", "answer")]
        cells += ["" if value is None else f"{value:.3f}" for value in (alike, figures.get("kl"))]
        cells += [_percent(figures[name], figures[f"{name} no answer"]) if name in figures else "" for name in COLUMNS]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def correlations(arms: dict[str, Figures]) -> list[str]:
    """The correlation over arms of each measure of shift with the loss on each reasoning task."""
    trained = [figures for label, figures in arms.items() if label != "none"]
    if len(trained) < 3:
        return []
    shifts = {
        "NLL of the reply": [f["nll"]["reply"]["nll"] for f in trained],
        "NLL of the thought": [f["nll"]["thought"]["nll"] for f in trained],
        "1 - similarity": [1 - f["similarity"]["value"] for f in trained],
        "KL on held-out reasoning": [f["kl"] for f in trained],
    }
    lines = []
    for task in REASONING:
        lost = [arms["none"][task]["value"] - f[task]["value"] for f in trained]
        for name, shift in shifts.items():
            r = pearson(shift, lost)
            if r.value is not None and r.low is not None and r.high is not None:
                lines.append(f"| {name}, loss on {task} | {r.value:.2f} [{r.low:.2f}, {r.high:.2f}] |")
    return ["| correlation over arms | r [95 %] |", "|---|---:|", *lines] if lines else []


def _percent(estimate: Figures, no_answer: int) -> str:
    if estimate["value"] is None:
        return "-"
    shown = f"{100 * estimate['value']:.0f} [{100 * estimate['low']:.0f}, {100 * estimate['high']:.0f}"
    return f"{shown}; {no_answer}]" if no_answer else f"{shown}]"


def _nll(shift: Figures | None) -> str:
    return f"{shift['nll']:.2f} [{shift['low']:.2f}, {shift['high']:.2f}]" if shift else ""


if __name__ == "__main__":
    main()
