"""`ascl serve` and `ascl audit` as a user types them."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from ascl.cli.main import app


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments])
    return result.exit_code, result.output


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, once it listens, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = subprocess.Popen(
        [sys.executable, "-m", "ascl.cli.main", "serve", *arguments, "--port", str(port)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "400"},
    )
    assert child.stderr is not None
    try:
        said = ""
        while "listening" not in said:
            line = child.stderr.readline()
            assert line, said
            said += line
        yield child, f"http://127.0.0.1:{port}"
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(60)
        child.stderr.close()


def test_a_trained_folder_answers_and_leaves_its_records(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    code, key = run("serve", "key", "team", "--folder", str(folder), "--show", "all")
    assert code == 0
    with started("--model", str(tiny_model), "--folder", str(folder)) as (child, url):
        headers = {"authorization": f"Bearer {key.strip()}"}
        body = {"model": tiny_model.name, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
        assert httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=120).status_code == 401
        reply = httpx2.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=120)
        assert reply.status_code == 200, reply.text
        assert reply.json()["ascl"]["rules"]
    assert child.returncode == 0
    code, said = run("audit", "verify", "--folder", str(folder))
    assert (code, said) == (0, "2 records, all in the chain\n")
    code, said = run("audit", "export", "--folder", str(folder))
    assert [json.loads(line)["kind"] for line in said.splitlines()] == ["begun", "finished"]
    assert run("audit", "erase", "--folder", str(folder)) == (0, "0 texts erased\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve",),
        ("serve", "--model", "./missing"),
        ("serve", "--model", "x", "--upstream", "ftp://x"),
        ("serve", "--model", "x", "--upstream", "http://127.0.0.1:9/v1", "--rules", "missing.yaml"),
        ("serve", "--model", "x", "--upstream", "http://127.0.0.1:9/v1", "--host", "0.0.0.0"),
        ("serve", "key", "t", "--show", "some"),
        ("audit", "verify"),
        ("audit", "export", "--folder", "missing"),
        ("audit", "erase"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith("ascl: ")
    assert result.stderr.count("\n") == 1


def test_check_looks_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = run("serve", "--model", "x", "--upstream", "http://127.0.0.1:9/v1", "--check")
    assert code == 0
    assert "does not answer yet" in " ".join(said.split())
