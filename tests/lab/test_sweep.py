"""The whole lab, tiny: clones, arms, figures and page come to be, and a second run does nothing again."""

import json
from pathlib import Path

import pytest
from tiny_lab import TINY
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.errors import InputError
from ascl.lab.arms import ARMS
from ascl.lab.sweep import sweep


def test_every_arm_runs_and_nothing_is_done_twice(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    page = sweep(folder, list(ARMS), [0], TINY, 2)
    assert "A price on consulting" in page.read_text()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics["variants"]) == {"bc", "surrogate_bc", *ARMS}
    assert {len(curve) for curve in metrics["training"].values()} == {2}
    assert {claim["verdict"] for claim in metrics["claims"]} == {"unclear"}  # one seed settles nothing
    written = {path: path.stat().st_mtime_ns for path in folder.glob("seed0/*.json")}
    sweep(folder, list(ARMS), [0], TINY, 2)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("seed0/*.json")} == written
    with pytest.raises(InputError, match="holds a lab of other settings"):
        sweep(folder, ["grpo"], [0], TINY.model_copy(update={"requests": 30}), 1)


def test_an_unknown_arm_is_one_line() -> None:
    found = CliRunner().invoke(app, ["lab", "--arms", "grpo,best"])
    assert found.exit_code == 2
    assert "--arms best: unknown" in found.output
    assert "Traceback" not in found.output
