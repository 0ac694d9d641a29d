"""An installation without extras: what needs one says so in one line; what needs none works."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ascl
from ascl.errors import EXTRAS, missing_extra

SOURCE = Path(ascl.__file__).parents[1]
PROJECT = SOURCE.parent / "pyproject.toml"

# Python reads this when it starts, and so do the processes that a command starts.
HIDDEN = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        hidden = {sorted(module for modules in EXTRAS.values() for module in modules)!r}
        if any(f"{{name}}.".startswith(f"{{module}}.") for module in hidden):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""
TRAIN = "is not installed; this needs the extra `train`: pip install 'ascl[train]'"


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a Python where no extra is installed."""
    path = os.pathsep.join([str(folder / "hidden"), str(SOURCE)])
    environment = os.environ | {"PYTHONPATH": path, "ASCL_BENCH_DIR": str(folder / "sets"), "COLUMNS": "120"}
    command = [sys.executable, "-m", "ascl.cli.main", *arguments]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a configuration, training rows and a set to evaluate on."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(HIDDEN, encoding="utf-8")
    (tmp_path / "run.yaml").write_text(
        "model: embedded\narms: {ifpo: {method: rl, algorithm: ifpo}}\n", encoding="utf-8"
    )
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": messages}) + "\n", encoding="utf-8")
    sums = [{"id": i, "question": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(1319)]
    (tmp_path / "sets" / "gsm8k").mkdir(parents=True)
    rows = "".join(json.dumps(row) + "\n" for row in sums)
    (tmp_path / "sets" / "gsm8k" / "test.jsonl").write_text(rows, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "run run.yaml",
        "sft --model embedded --data rows.jsonl --out trained",
        "rl run.yaml",
        "plan run.yaml",
        "config check run.yaml",
        "lab",
        "chat --model embedded",
        "eval --model embedded --suite gsm8k",
    ],
)
def test_what_needs_an_extra_names_it(folder: Path, command: str) -> None:
    done = call(folder, *command.split())
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("ascl: ") and done.stderr.endswith(f" {TRAIN}\n") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "--version",
        "rules search phishing",
        "rules lint default",
        "run --help",
        "config show quickstart",
        "init here",
    ],
)
def test_what_needs_no_extra_works(folder: Path, command: str) -> None:
    done = call(folder, *command.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_a_package_of_no_extra_is_no_bad_input() -> None:
    """A broken installation, or a mistake of ours, is to be seen whole."""
    assert missing_extra(ModuleNotFoundError("No module named 'ascl.nothing'", name="ascl.nothing")) is None
    assert missing_extra(ModuleNotFoundError("unnamed")) is None
    for name in ("opentelemetry.exporter", "opentelemetry.exporter.otlp.proto", "opentelemetry.sdk.trace"):
        assert "ascl[otel]" in str(missing_extra(ModuleNotFoundError("x", name=name)))
    assert missing_extra(ModuleNotFoundError("x", name="opentelemetry.nothing")) is None
    assert "ascl[dense]" in str(missing_extra(ModuleNotFoundError("x", name="sentence_transformers.losses")))


def test_the_extras_are_those_of_the_package() -> None:
    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(extras) - {"test"}
    for extra, modules in EXTRAS.items():
        modules = tuple(module.replace(".", "_") for module in modules)
        named = {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in extras[extra]}
        others = {*EXTRAS["train"], "opentelemetry_api"}  # mcp needs the last one as well
        assert {name for name in named if not name.startswith(modules)} <= others
