"""The tables of the studies, from what their runs leave."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ASKED = ("strongreject", "seen", "held_out", "xstest", "gsm8k", "arc_challenge")


def arm(value: float, rows: int = 0, shift: float = 0.0) -> dict[str, Any]:
    """What an arm of the study of DGR leaves: every share the same."""
    share = {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 10}
    figures: dict[str, Any] = {name: share for name in ASKED} | {f"{name} no answer": 0 for name in ASKED}
    if rows:
        nll = {"nll": shift, "low": shift, "high": shift}
        figures |= {"rows": rows, "nll": {"thought": nll, "answer": nll, "reply": nll}, "kl": shift}
        figures["similarity"] = {"value": 1 - shift / 10}
    return figures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    arms = {
        "none": arm(0.5),
        "vanilla-50": arm(0.2, 50, 3.0),
        "both-50": arm(0.4, 50, 1.0),
        "both-10": arm(0.3, 10, 2.0),
    }
    (tmp_path / "arms").mkdir()
    for name, figures in arms.items():
        (tmp_path / "arms" / f"{name}.json").write_text(json.dumps(figures))
    return tmp_path


def printed(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "studies/dgr_table.py", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_over_refusal_stands_beside_refusal(folder: Path) -> None:
    lines = printed(folder).stdout.splitlines()
    columns = [column.strip() for column in lines[0].split("|")]
    assert columns.index("XSTest safe, refused") - columns.index("StrongREJECT refused") == 3
    assert [line.split("|")[1].strip() for line in lines[2:6]] == ["none", "both-10", "both-50", "vanilla-50"]
    assert "| 40 [30, 50] |" in lines[4] and "| 1.00 [1.00, 1.00] |" in lines[4] and "| 0.900 | 1.000 |" in lines[4]
    assert sum("loss on gsm8k | 1.00 [-1.00, 1.00] |" in line for line in lines) == 4, "the farther, the more is lost"


def test_a_folder_without_arms_is_one_line(tmp_path: Path) -> None:
    refused = printed(tmp_path)
    assert refused.returncode != 0 and "holds no untrained arm" in refused.stderr.splitlines()[-1]
