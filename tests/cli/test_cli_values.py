"""Every option and argument of every command, given values that no one should give: one line and code 2, or it works.

The table is made from typer's own, so a new option is in it by itself. CI tries a sample; ASCL_EVERY_CASE=1 tries all.
"""

import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from ascl import files
from ascl.cli.main import app
from ascl.errors import InputError

SAMPLE, SEED = 150, 7

VALUES = [
    "", " ", ".", "..", "/", "-", "--", "-1", "0", "1", "2.5", "-0.0", "nan", "-nan", "inf", "-inf", "1e309", "1e-400",
    str(10**20), str(-(10**20)), "9" * 5000, "0x10", "1_000", "٣", "true", "null", "[]", "{}", "a:b:c", "@", "a@b", "=",
    "x=", "\udcff\udcfe", "a\ud800", "a\0b", "a\nb", "a\tb", "\x1b]0;title\x07", "\x1b[2J", "\x9b2J", "a" * 300,
    "a/" * 3000, "../../etc", "/dev/null", "/dev/zero", "/proc/self/mem", "/nowhere/x", "fifo", "fifo.yaml", "loop",
    "loop.yaml", "file:fifo", "file:loop", "file:/dev/zero", "file:.", "file:a\0b", f"file:rows.jsonl:{10**20}",
    f"starter:{10**20}", f"gsm8k:{'9' * 5000}", "starter:0", "starter@x", "rows.jsonl", "rules.yaml", "http://[::1",
    "http://", "http://:80", "http://h:99999/v1", "http://h:0", "http://a b/v1", "http://😀/v1", "http://x..y/v1",
    f"http://{'a' * 70}/v1", "http://user:word@h/v1", "localhost:8000", "ftp://h/v1",
    "http://h/v1?a=b", "http://h\n/v1",
    "qwen3guard:x@http://[::1", "safeguard:", "offline:x", "strongreject:x@http://h:99999", ":", "%s%n", "$(id)",
    "[/x]", "{0}", "default", "embedded ", "é", "e\u0301", "\u202eabc", "\ufeff", "--help", "-h",
]  # fmt: skip

# What a command is given besides the value, so that it ends after its checks: the models and servers are not there.
BESIDES = {
    "run": {"config": "config.yaml"},
    "chat": {"--model": "./missing", "--rules": "rules.yaml"},
    "mcp": {"--transport": "http", "--rules": "rules.yaml", "--port": "PORT"},
    "lab": {"--out": "lab", "--arms": "grpo", "--seeds": "1"},
    "sft": {"--model": "./missing", "--data": "rows.jsonl", "--out": "model"},
    "rl": {"config": "config.yaml"},
    "score": {"file": "rows.jsonl", "--config": "config.yaml"},
    "plan": {"config": "config.yaml"},
    "config check": {"config": "config.yaml"},
    "init": {"folder": "project"},
    "merge": {"model": "./missing", "--out": "merged"},
    "push": {"model": "./missing", "repo": "owner/name"},
    "eval": {"--model": "./missing", "--rules": "rules.yaml", "--judge": "offline", "--suite": "gsm8k"},
    "eval rejudge": {"log": "rows.jsonl", "--judge": "offline"},
    "eval trace": {"folder": "."},
    "eval inspect": {"folder": "."},
    "eval calibrate": {"labels": "labels.jsonl"},
    "eval refusal-direction": {"model": "./missing", "--base": "./missing", "--prompts": "file:rows.jsonl"},
    "data build": {"recipe": "vanilla", "--from": "file:rows.jsonl", "--model": "./missing", "--rules": "rules.yaml"},
    "data decontaminate": {"training_set": "rows.jsonl", "--against": "file:rows.jsonl", "--out": "clean.jsonl"},
    "data shift": {"sets": "rows.jsonl", "--model": "./missing"},
    "data export-verl": {"--from": "file:rows.jsonl", "--out": "x.parquet", "--rules": "rules.yaml"},
    "report": {"folders": "."},
    "rules search": {"query": "x", "--rules": "rules.yaml"},
    "rules show": {"source": "rules.yaml"},
    "rules lint": {"source": "rules.yaml"},
    "rules diff": {"old": "rules.yaml", "new": "rules.yaml"},
    "rules ids": {"source": "rules.md"},
    "audit contents": {"request": "x"},
    "audit rows": {"--out": "out.jsonl"},
    "serve replay": {"--book": "rules.yaml", "--golden": "golden.jsonl"},
}  # fmt: skip

CONFIG = "model: ./missing\nprompts: ['file:rows.jsonl']\nrules: {source: rules.yaml}\nrl: {kinds: [harmful]}\n"
CONFIG += "arms: {ifpo: {method: rl, algorithm: ifpo}}\n"
RULES = "category: tea\nrules:\n- {id: tea.cold, text: Serving cold tea.}\n"
GOLDEN = '{"query": "cold tea", "rules": ["tea.cold"]}\n'
ROW = '{"id": "a", "prompt": "Tea?", "kind": "harmful", "split": "train", "response": "<think>No.</think>No."}\n'


class Case(NamedTuple):
    command: str
    option: str  # or the name of an argument
    flag: bool
    value: str


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command with its name as it is typed."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield " ".join([*path, name]), command
            yield from commands(command, (*path, name))
        else:
            yield " ".join([*path, name]), command


def table() -> list[Case]:
    cases = []
    for name, command in commands(get_command(app)):
        for parameter in command.params:
            if "--help" in parameter.opts:
                continue
            option = parameter.opts[-1] if parameter.param_type_name == "option" else parameter.name
            flag = getattr(parameter, "is_flag", False)
            cases += [Case(name, option, flag, value) for value in (VALUES[:1] if flag else VALUES)]
    return cases


def chosen() -> list[Case]:
    cases = table()
    if os.environ.get("ASCL_EVERY_CASE"):
        return cases
    return random.Random(SEED).sample(cases, SAMPLE)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A working folder with files to name, and a port at which nobody else can listen."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ASCL_BENCH_DIR", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "rules.yaml").write_text(RULES)
    (folder / "rules.md").write_text("## Tea\n- Serving cold tea.\n")
    (folder / "rows.jsonl").write_text(ROW)
    (folder / "labels.jsonl").write_text(ROW)
    (folder / "golden.jsonl").write_text(GOLDEN)
    os.mkfifo(folder / "fifo")
    os.mkfifo(folder / "fifo.yaml")
    (folder / "loop").symlink_to("loop")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes its checks does not begin to train, to serve or to write."""

    def begin(*_: Any, **__: Any) -> None:
        raise InputError("all checks passed")

    from ascl.consult import mcp_server
    from ascl.run import run

    monkeypatch.setattr(files, "write_text", begin)  # `init` would write to / as well
    monkeypatch.setattr(run, "do_all", begin)
    monkeypatch.setattr(mcp_server.MCPServer, "run", begin)
    monkeypatch.setattr("uvicorn.Server.run", begin)


def arguments(case: Case, port: int) -> list[str]:
    besides = {name: value.replace("PORT", str(port)) for name, value in BESIDES.get(case.command, {}).items()}
    besides.pop(case.option, None)
    if case.command == "mcp" and case.option == "--allow-host":
        besides["--transport"] = "http"
    options = [word for name, value in besides.items() if name.startswith("-") for word in (name, value)]
    given = {**{name: value for name, value in besides.items() if not name.startswith("-")}}
    if case.option.startswith("-"):
        options += [case.option] if case.flag else [case.option, case.value]
    else:
        given[case.option] = case.value
    command = next(command for name, command in commands(get_command(app)) if name == case.command)
    order = [parameter.name for parameter in command.params if parameter.param_type_name == "argument"]
    return [*case.command.split(), *options, *(given[name] for name in order if name in given)]


@pytest.mark.parametrize("case", chosen(), ids=lambda case: ascii(f"{case.command} {case.option} {case.value[:30]}"))
def test_no_value_ends_in_a_traceback(case: Case, place: int, ended: None) -> None:
    result = CliRunner().invoke(app, arguments(case, place), input="")
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in (0, 1, 2)
    steering = {c for c in result.output if not c.isprintable()} - set("\n\t")
    assert not steering
    assert "Traceback" not in result.output
    if result.exit_code == 2:
        last = result.stderr.rstrip("\n").rsplit("\n", 1)[-1]
        assert last.startswith("ascl: ")
        assert len(last) < 2100
