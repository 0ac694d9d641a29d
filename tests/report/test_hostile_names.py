"""Evaluations whose files hold escape sequences: what the commands print of them can't steer a terminal."""

from pathlib import Path

import pytest
from made_files import write_evaluation
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.files import write_json
from ascl.inputs import read_json

HOSTILE = "\x1b]0;title\x07\x1b[2J\x1b]52;c;QQ==\x07\x9b31m\r\b\x7f\u202e[/x]"


@pytest.mark.parametrize("field", ["name", "model", "base_url", "machine", "source"])
@pytest.mark.parametrize("command", [["eval", "trace"], ["eval", "rejudge", "--judge", "offline"], ["report"]])
def test_no_field_of_an_evaluation_steers_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_evaluation(tmp_path / "one", "one")
    path = tmp_path / "one" / "evaluation.json"
    evaluation = read_json(path)
    if field == "source":
        evaluation["rule_book"]["source"] = HOSTILE
    else:
        evaluation[field] = HOSTILE
    write_json(path, evaluation)
    result = CliRunner().invoke(app, [*command, "one"], color=True)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.output
    assert {c for c in result.output if not c.isprintable()} <= {"\n"}
