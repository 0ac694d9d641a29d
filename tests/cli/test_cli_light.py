"""The command line as a process of its own: help is quick, failures are clean, a closed pipe is no error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ascl

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(ascl.__file__).parents[1]), "COLUMNS": "120"}
COMMAND = [sys.executable, "-m", "ascl.cli.main"]


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], env=ENVIRONMENT, capture_output=True, text=True)


def test_help_lists_the_commands() -> None:
    done = call("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("run", "init", "config", "report", "score", "plan", "mcp", "chat", "eval", "rules"):
        assert f" {command} " in done.stdout


@pytest.mark.parametrize("command", ["run", "config check", "report", "mcp", "chat", "eval", "rules", "rules search"])
def test_every_command_has_help(command: str) -> None:
    done = call(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: " in done.stdout


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom ascl.cli.main import app\n"
        "try:\n  app(['--help'])\nexcept SystemExit:\n  pass\n"
        "heavy = {'torch', 'transformers', 'trl', 'numpy', 'datasets', 'openai', 'mcp', 'bm25s', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_bad_input_is_one_line_and_code_2() -> None:
    done = call("rules", "lint", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "ascl: nowhere: no such rule book; name `default`, a folder of YAML, a .yaml, .csv or .md file\n"
    )


def test_the_version() -> None:
    done = call("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"ascl {ascl.__version__}\n", "")


@pytest.mark.parametrize("host", ["x..y", "a" * 70, ".", "no.such.host.invalid"])
def test_an_address_where_nobody_can_listen_is_one_line(host: str) -> None:
    done = call("mcp", "--transport", "http", "--host", host)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ascl: {host}, port 8765: can't listen there (")
    assert done.stderr.count("\n") == 1


def test_hosts_are_for_http() -> None:
    done = call("mcp", "--allow-host", "rules.example.com")
    assert (done.returncode, done.stderr) == (2, "ascl: --allow-host: it goes with --transport http\n")


def test_an_unknown_command_is_code_2() -> None:
    done = call("nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_is_no_error() -> None:
    with subprocess.Popen(
        [*COMMAND, "rules", "show"], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
