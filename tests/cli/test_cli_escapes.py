"""Escape sequences in every slot of a file, a name or a server's answer: none reaches the terminal raw."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from teacher_server import Raw, teacher
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.cli.report import COLUMNS, show_run
from ascl.evals.arms import ArmResult, RunResults
from ascl.stats import Estimate

HOSTILE = "\x1b]0;title\x07\x1b[2J\x1b]52;c;QQ==\x07\x9b31m\r\b\x7f\u202e"
OWN = ("\x1b[1m", "\x1b[22m", "\x1b[0m")  # bold heads, which are ours


def printed(*arguments: str, typed: str = "") -> str:
    """What a command prints on a terminal."""
    result = CliRunner().invoke(app, list(arguments), input=typed, color=True)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result.output


def check(shown: str) -> None:
    for sequence in OWN:
        shown = shown.replace(sequence, "")
    assert "title" in shown, "the text itself is shown"
    assert {c for c in shown if not c.isprintable()} <= {"\n", "\t"}


def table(id: str = "tea.cold", category: str = "tea", text: str = "Serving cold tea.", title: str = "Tea") -> str:
    cells = [f'"{cell}"' for cell in (id, category, title, text)]
    return f"id,category,title,text\n{','.join(cells)}\n"


def yaml(**slots: str) -> str:
    rule = {"id": "tea.cold", "text": "Serving cold tea."} | {k: v for k, v in slots.items() if k in ("id", "text")}
    head = {"category": "tea", "title": "Tea"} | {k: v for k, v in slots.items() if k not in rule}
    return json.dumps(head | {"rules": [rule]})  # JSON is YAML


COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "show": lambda name: ["rules", "show", name],
    "lint": lambda name: ["rules", "lint", name],
    "diff": lambda name: ["rules", "diff", name, "default"],
    "diff back": lambda name: ["rules", "diff", "default", name],
    "search": lambda name: ["rules", "search", "cold tea", "--rules", name],
    "category": lambda name: ["rules", "show", name, "--category", f"x{HOSTILE}"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("slot", ["id", "category", "text", "title", "column"])
@pytest.mark.parametrize("kind", ["csv", "yaml"])
def test_rules(folder: Path, command: str, slot: str, kind: str) -> None:
    hostile = {"id": f"tea.{HOSTILE}", "category": f"tea{HOSTILE}"}.get(slot, f"Cold tea {HOSTILE}.")
    if slot == "column":
        text = table().replace("text", f"text,{HOSTILE}", 1) if kind == "csv" else yaml(**{HOSTILE: "x"})
    else:
        text = table(**{slot: hostile}) if kind == "csv" else yaml(**{slot: hostile})
    (folder / f"rules.{kind}").write_bytes(text.encode())
    shown = printed(*COMMANDS[command](f"rules.{kind}"))
    check(shown + "title")


def test_rules_of_a_markdown_list_and_their_ids(folder: Path) -> None:
    (folder / "rules.md").write_bytes(
        f"# Tea {HOSTILE}\n\n- Serving cold tea {HOSTILE}.\n- **tea.x{HOSTILE}**: a b.\n".encode()
    )
    for command in (["show", "rules.md"], ["lint", "rules.md"], ["ids", "rules.md"], ["diff", "rules.md", "default"]):
        check(printed("rules", *command) + "title")
    assert "title" in printed("rules", "show", "rules.md")


@pytest.mark.parametrize(
    "command",
    [["rules", "lint"], ["run"], ["rl"], ["score"], ["config", "check"], ["eval", "calibrate"], ["eval", "trace"]],
)
def test_names_of_files(folder: Path, command: list[str]) -> None:
    check(printed(*command, f"{HOSTILE}.yaml"))


def test_names_of_files_in_a_folder_of_rules(folder: Path) -> None:
    (folder / "rules").mkdir()
    (folder / "rules" / f"{HOSTILE}.txt".replace("/", "")).touch()
    (folder / "rules" / "a.yaml").write_text(yaml())
    check(printed("rules", "lint", "rules"))


@pytest.mark.parametrize(
    "text",
    [
        '"\\e]0;title\\a\\x9b": 1\nmodel: x',
        'model: x\nprompts: ["\\e]0;title\\a\\x9b"]',
        'model: x\nrules: {source: "\\e]0;title\\a\\x9b"}',
        'model: "\\e]0;title\\a\\x9b"\nprompts: ["file:rows.jsonl"]',
        'model: x\nrl: {"\\e]0;title\\a\\x9b": 1}',
        'model: x\narms: {"\\e]0;title\\a\\x9b": {method: sft}}',
        'model: x\narms: {a: {method: rl, algorithm: "\\e]0;title\\a\\x9b"}}',
        'model: x\narms: {a: {method: sft, from: "\\e]0;title\\a\\x9b"}}',
        'a: &a 1\n"\\e]0;title\\a\\x9b": 1\n"\\e]0;title\\a\\x9b": 2',
        "model: *title\x1b[2J",
    ],
)
def test_a_configuration(folder: Path, text: str) -> None:
    (folder / "rows.jsonl").write_text('{"id": "a", "prompt": "Tea?", "kind": "harmful"}\n')
    (folder / "x.yaml").write_text(text)
    check(printed("run", "x.yaml", "--check") + "title")


ROW = {"id": "a", "prompt": "Tea?", "kind": "harmful", "response": "<think>Hm.</think>No."}


@pytest.mark.parametrize(
    "row",
    [
        ROW | {"id": HOSTILE},
        ROW | {"prompt": HOSTILE},
        ROW | {"response": f"<think>{HOSTILE}</think>{HOSTILE}"},
        ROW | {"kind": HOSTILE},
        ROW | {"split": HOSTILE},
        ROW | {"category": HOSTILE},
    ],
)
def test_rows_in_a_preview(folder: Path, row: dict[str, Any]) -> None:
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
    check(printed("data", "build", "vanilla", "--from", "file:rows.jsonl", "--preview", "1") + "title")


def test_an_id_that_occurs_twice_and_a_key_that_is_unknown(folder: Path) -> None:
    (folder / "rows.jsonl").write_text((json.dumps(ROW | {"id": HOSTILE}) + "\n") * 2)
    check(printed("data", "build", "vanilla", "--from", "file:rows.jsonl"))
    (folder / "p.jsonl").write_text(json.dumps({"id": "a", "prompt": "?", "kind": "plain", HOSTILE: 1}) + "\n")
    check(printed("data", "export-verl", "--from", "file:p.jsonl", "--out", "x"))


@pytest.mark.parametrize("body", [HOSTILE, json.dumps({"error": {"message": HOSTILE}})])
def test_the_error_of_a_server(folder: Path, body: str) -> None:
    (folder / "p.jsonl").write_text(json.dumps({"id": "a", "prompt": "?", "kind": "plain"}) + "\n")
    with teacher(lambda messages: Raw(400, body.encode())) as server:
        options = ["--base-url", server.base_url, "--model", f"m{HOSTILE}"]
        check(printed("chat", *options, typed="Hello\n\n"))
        check(printed("data", "build", "surrogate", "--from", "file:p.jsonl", "--preview", "1", *options) + "title")


def test_the_table_and_the_command_after_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = dict.fromkeys(COLUMNS, Estimate(value=0.5, low=0.25, high=0.75, n=4))
    arm = ArmResult(name=f"v{HOSTILE}[/x]", trained=False, seeds=[0], figures=figures)
    results = RunResults(name="r", headline=HOSTILE, arms=[arm], facts={"Judge": HOSTILE}, warnings=[HOSTILE])
    show_run(results)
    check(capsys.readouterr().out)


def test_what_is_typed_may_be_no_text(folder: Path) -> None:
    with teacher(lambda messages: {"role": "assistant", "content": "Tea."}) as server:
        options = ["chat", "--model", "m", "--base-url", server.base_url, "--variant", "pure"]
        result = CliRunner().invoke(app, options, input=b"\xff\xfehello \xed\xa0\x80\n\n")
    assert (result.exit_code, result.exception) == (0, None)
    assert "model Tea." in result.output
    assert server.asked[-1].startswith("\ufffd\ufffdhello \ufffd")
