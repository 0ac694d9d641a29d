"""How the tests call the command line: in this process, as a user would type it, in an empty folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ascl.cli.main import app


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ascl(folder: Path) -> Callable[..., tuple[int, str]]:
    """Run a command; its exit code and what it printed. Nothing may stand on stderr, no exception may escape."""

    def run(*arguments: str, typed: str | None = None) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(arguments), input=typed)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert result.stderr == ""
        return result.exit_code, result.stdout

    return run


@pytest.fixture
def complaint(folder: Path) -> Callable[..., str]:
    """Run a command that must fail: exit code 2, one line on stderr, nothing on stdout. The line, without `ascl: `."""

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("ascl: ")
        assert result.stderr.count("\n") == 1
        assert "Traceback" not in result.stderr
        return result.stderr.removeprefix("ascl: ").removesuffix("\n")

    return run
