"""`ascl report`: what it makes a page of and where, and one line for what it can't."""

from pathlib import Path

import pytest
from made_files import write_evaluation, write_run
from typer.testing import CliRunner

from ascl.cli.main import app


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(*arguments: str) -> str:
    """What the command says that fails with exit code 2, in one line."""
    result = CliRunner().invoke(app, ["report", *arguments])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("ascl: ") and result.stderr.count("\n") == 1
    return result.stderr.removeprefix("ascl: ").removesuffix("\n")


def test_a_run_gets_its_page(folder: Path) -> None:
    write_run(folder / "run", prompts=2)
    result = CliRunner().invoke(app, ["report", "run"])
    assert (result.exit_code, result.stdout) == (0, "report: run/report.html\n"), result.output
    assert "ifpo is 5 points of H-avg above bc" in (folder / "run" / "report.html").read_text(encoding="utf-8")


def test_evaluations_get_one_together(folder: Path) -> None:
    write_evaluation(folder / "all" / "a", "one", prompts=2)
    write_evaluation(folder / "b", "another", prompts=2)
    write_run(folder / "run", prompts=1)
    result = CliRunner().invoke(app, ["report", "all", "b", "--out", "page.html"])
    assert result.exit_code == 0, result.output
    assert "<title>one · another</title>" in (folder / "page.html").read_text(encoding="utf-8")
    result = CliRunner().invoke(app, ["report", "run", "b"])  # the evaluations of the run, of every seed
    assert result.exit_code == 0, result.output
    assert "<title>12 evaluations</title>" in (folder / "report.html").read_text(encoding="utf-8")


def test_what_is_wrong_is_one_line(folder: Path) -> None:
    write_evaluation(folder / "e", "e", prompts=1)
    (folder / "report.html").mkdir()
    assert said("nowhere", "--out", "x.html").startswith("nowhere: holds no evaluation")
    assert said("e").startswith("--out report.html: is a folder; name a file")
    assert said("compare", "e") == "`ascl report compare ..` is now `ascl report FOLDER...`: leave `compare` out"
    (folder / "e" / "metrics.json").write_text("{\n]", encoding="utf-8")
    (folder / "page.html").write_text("an earlier page", encoding="utf-8")
    assert said("e", "--out", "page.html").startswith("e/metrics.json:2: not JSON")
    assert (folder / "page.html").read_text(encoding="utf-8") == "an earlier page"
