"""README and docs: their Python runs, their commands exist, and no page names a file that is not there."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from ascl.cli.main import app
from ascl.run.config import RunConfig, find_config

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Long trainings: what they call is run by the tests of its own room.
LONG = ("run_config(",)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


SNIPPETS = [
    pytest.param(code, id=f"{page.relative_to(ROOT)} {number}")
    for page in (ROOT / "README.md", ROOT / "docs" / "python.md")
    for number, code in enumerate(blocks(page, "python"))
    if not any(word in code for word in LONG)
]


@pytest.mark.parametrize("code", SNIPPETS)
def test_the_python_of_the_pages_runs(
    code: str, embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "a page", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_the_notebook_runs(embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((ROOT / "docs" / "first_steps.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "a notebook is committed without what it printed"
            exec("".join(cell["source"]), names)
    assert names["results"].summary["safety"].n <= 1


CONFIGURATIONS = [
    pytest.param(code, id=f"{page.relative_to(ROOT)} {number}")
    for page in PAGES
    for number, code in enumerate(blocks(page, "yaml"))
    if "arms:" in code and ":Copy" not in code and ":Signs" not in code  # classes of the reader's own
]


@pytest.mark.parametrize("code", CONFIGURATIONS)
def test_the_arms_that_a_page_shows_are_arms(code: str) -> None:
    given = yaml.safe_load(code)
    assert list(RunConfig.model_validate({"model": "m"} | given).arms) == list(given["arms"])


def commands(page: Path) -> list[list[str]]:
    """The `ascl ..` lines of a page's shell blocks, split as a shell would."""
    found = []
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if match := re.search(r"(?:^|[\s;&|/])ascl ((?:[a-z-]+)\b.*)", line.split(" #")[0]):
                found.append(shlex.split(match[1].split("; done")[0]))
    return found


def test_the_pages_hold_commands() -> None:
    assert len([words for page in PAGES for words in commands(page)]) > 60


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_there_with_its_options(page: Path) -> None:
    for words in commands(page):
        command: Any = typer.main.get_command(app)
        root, rest = command, list(words)
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert words[0] in ("--version", "--help") or command is not root, f"{page.name}: ascl {shlex.join(words)}"
        for word in rest:
            if word.startswith("--"):
                assert word.split("=")[0] in known | {"--help"}, f"{page.name}: ascl {shlex.join(words)}"
        if words[0] == "run" and len(words) > 1 and "/" not in words[1] and words[1].islower():
            assert find_config(words[1]).exists(), f"{page.name}: ascl {shlex.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_file_that_is_not_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
    for name in re.findall(r"`((?:src/ascl|tests|docs|benchmarks|studies|configs)/[\w./-]+)`", text):
        assert "NAME" in name or (ROOT / name).exists(), f"{page.name}: {name}"
    for name in re.findall(r"`((?:[a-z_]+/)+[\w]+\.(?:py|yaml|jinja))(?::[^`]*)?`", text):
        of_a_user = "NAME" in name or name.startswith("mine/")
        assert of_a_user or any((root / name).exists() for root in (ROOT, ROOT / "src" / "ascl")), name
