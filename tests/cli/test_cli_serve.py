"""`ascl serve` and `ascl audit` as a user types them."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import pytest
from trails import write_trail
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.folders import working_in
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule
from ascl.serve.trail.audit import AuditStore, Entry


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


def test_a_second_gateway_on_one_folder_says_who_has_it(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    upstream = ("--upstream", f"http://127.0.0.1:{port}/v1", "--port", str(port))
    with working_in(folder):
        code, said = run("serve", "--model", "name", *upstream, "--folder", str(folder))
    assert code == 2
    assert f"process {os.getpid()} is working in it" in " ".join(said.split())
    assert not (folder / "audit.sqlite").exists()


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
    assert run("audit", "erase", "--folder", str(folder)) == (0, "0 queries and 0 conversations erased\n")


def test_the_admin_page_has_a_port_and_a_password_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    command = ["serve", "password", "--folder", str(folder)]
    typed = CliRunner().invoke(app, command, input="correct horse\ncorrect horse\n")
    assert typed.exit_code == 0 and "correct horse" not in typed.output
    assert CliRunner().invoke(app, [*command, "--stdin"], input="short\n").exit_code == 2
    assert CliRunner().invoke(app, [*command, "--stdin"], input="battery staple\r\n").exit_code == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    arguments = ("--model", "x", "--upstream", "http://127.0.0.1:9/v1", "--folder", str(folder), "--admin-port", port)
    reaching = httpx2.HTTPTransport(retries=5)
    with (
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", transport=reaching) as client,
        started(*arguments) as (child, url),
    ):
        assert client.get("/").headers["location"] == "/sign-in"
        same = {"sec-fetch-site": "same-origin"}
        assert client.post("/sign-in", data={"password": "correct horse"}, headers=same).status_code == 401
        assert client.post("/sign-in", data={"password": "battery staple"}, headers=same).status_code == 303
        assert "126 rules" in client.get("/").text
        assert client.get(f"{url}/keys").status_code == 404, "the port of the clients has no admin page"
        assert client.get("/v1/models").status_code == 404
    assert child.returncode == 0, "both stop at a signal, with a connection open"


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve",),
        ("serve", "--model", "x", "--upstream", "http://127.0.0.1:9/v1", "--admin-port", "8081"),
        ("serve", "--model", "x", "--upstream", "http://127.0.0.1:9/v1", "--admin-port", "8080"),
        ("serve", "--model", "./missing"),
        ("serve", "--model", "x", "--upstream", "ftp://x"),
        ("serve", "--model", "x", "--upstream", "http://127.0.0.1:9/v1", "--rules", "missing.yaml"),
        ("serve", "--model", "x", "--upstream", "http://127.0.0.1:9/v1", "--host", "0.0.0.0"),
        ("serve", "--model", "x", "--upstream", "http://127.0.0.1:9/v1", "--guard", "qwen3guard"),
        ("serve", "key", "t", "--show", "some"),
        ("serve", "key", "t", "--guard", "open"),
        ("audit", "verify"),
        ("audit", "export", "--folder", "missing"),
        ("audit", "erase"),
        ("audit", "contents", "request"),
        ("audit", "rows", "--out", "rows.jsonl"),
        ("audit", "rows", "--out", "rows.jsonl", "--kind", "pairs"),
        ("audit", "coverage"),
        ("audit", "shadow"),
        ("audit", "canary"),
        ("audit", "feedback"),
        ("serve", "--model", "x", "--upstream", "http://127.0.0.1:9/v1", "--canary", "0.1"),
        ("serve", "--model", "x", "--upstream", "http://127.0.0.1:9/v1", "--candidate", "default", "--canary", "nan"),
        ("serve", "--model", "x", "--upstream", "http://127.0.0.1:9/v1", "--candidate", "missing.yaml"),
        ("serve", "replay", "--book", "default"),
        (
            "serve",
            "replay",
            "--book",
            "default",
            "--answers",
            "5",
            "--model",
            "x",
            "--upstream",
            "http://127.0.0.1:9/v1",
        ),
        ("serve", "replay", "--book", "missing.yaml", "--golden", "golden.jsonl"),
        ("serve", "replay", "--book", "default", "--golden", "golden.jsonl"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith("ascl: ")
    assert result.stderr.count("\n") == 1


DRINKS = {"tea": "Serving cold tea to a guest.", "bread": "Eating bread of a guest.", "milk": "Selling sour milk."}
BOOK = RuleBook([Rule(id=f"a.{name}", category="a", title="Food", text=text) for name, text in DRINKS.items()])


def book_of(path: Path, **texts: str) -> str:
    rows = "".join(f"- {{id: a.{name}, text: {text}}}\n" for name, text in texts.items())
    path.write_text(f"category: a\ntitle: Food\nrules:\n{rows}")
    return str(path)


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """A trail of four consultations: three return tea alone, the last one tea and bread."""
    return write_trail(tmp_path / "gateway", BOOK, [*["cold tea"] * 3, "guest"]).parent


def test_a_replay_says_what_an_edit_changes(trail: Path, tmp_path: Path) -> None:
    same = book_of(tmp_path / "same.yaml", **DRINKS)
    code, said = run("serve", "replay", "--folder", str(trail), "--book", same)
    assert code == 0
    assert "4 consultations, 4 of them replayed" in said
    assert "0 of 4 (0.0 %) would return other rules, 0 more" in said
    assert "not seen: consultations that would newly happen" in said

    edited = book_of(tmp_path / "edited.yaml", **{**DRINKS, "tea": "Pouring water on a guest."}, hot="Making cold tea.")
    code, said = run("serve", "replay", "--folder", str(trail), "--book", edited, "--tenant", "team", "--days", "1")
    assert code == 0
    assert "3 of 4 (75.0 %) would return other rules" in said
    assert "recorded under version v1: 4 consultations" in said
    assert "3 x `cold tea` (top_k 2): +a.hot -a.tea" in said
    assert ["a.hot", "3", "0", "0"] in [line.split() for line in said.splitlines()]

    code, said = run("serve", "replay", "--folder", str(trail), "--book", edited, "--json")
    found = json.loads(said)["replay"]
    assert found["total"] == {"consultations": 4, "replayed": 4, "changed": 3}
    assert found["rules"]["a.tea"]["lost"] == 3
    assert "newly happen" in found["not_seen"]


def test_a_replay_without_queries_says_how_many_it_misses(tmp_path: Path) -> None:
    folder = write_trail(tmp_path, BOOK, ["cold tea", "guest"], keep=False).parent
    code, said = run("serve", "replay", "--folder", str(folder), "--book", "default")
    assert code == 0
    assert "2 consultations, 0 of them replayed\n2 can't be replayed: their query was not kept" in said


def test_golden_queries_decide_the_exit_code(trail: Path, tmp_path: Path) -> None:
    book, golden = book_of(tmp_path / "book.yaml", **DRINKS), tmp_path / "golden.jsonl"
    golden.write_text(json.dumps({"query": "cold tea", "rules": ["a.tea"]}) + "\n")
    code, said = run("serve", "replay", "--folder", str(trail), "--book", book, "--golden", str(golden))
    assert (code, said.splitlines()[-1]) == (0, "1 of 1 golden queries find their rules")
    golden.write_text(golden.read_text() + json.dumps({"query": "sour milk", "rules": ["a.tea", "a.milk"]}) + "\n")
    code, said = run("serve", "replay", "--folder", str(tmp_path / "none"), "--book", book, "--golden", str(golden))
    assert code == 1
    assert "there is no audit trail, so the golden queries alone" in said
    assert "golden `sour milk` (top_k 3): a.tea does not come back\n1 of 2 golden queries" in said
    code, said = run(
        "serve", "replay", "--folder", str(trail), "--book", book, "--golden", str(golden), "--json", "--days", "1"
    )
    assert code == 1
    missed = [{"query": "sour milk", "top_k": 3, "missing": ["a.tea"]}]
    assert json.loads(said)["golden"] == {"queries": 2, "missed": missed}


def test_coverage_names_the_dead_rule(trail: Path, tmp_path: Path) -> None:
    book = book_of(tmp_path / "book.yaml", **DRINKS, it="You must not do it.")
    code, said = run("audit", "coverage", "--folder", str(trail), "--rules", book)
    assert code == 0
    assert "4 consultations; 2 of 4 (50.0 %) rules came back" in said
    assert "never came back (each in less than 75 %: 3/n): a.milk, a.it" in said
    assert "unreachable, not found by their own text or title (top_k 3): a.it" in said
    code, said = run("audit", "coverage", "--folder", str(trail), "--rules", book, "--json", "--days", "1")
    found = json.loads(said)
    assert found["rules"]["a.tea"]["retrieved"] == 4
    assert found["rules"]["a.tea"]["endings"] == {"answered": 4}
    assert found["never"] == ["a.milk", "a.it"]


def test_a_damaged_record_is_one_line(trail: Path) -> None:
    with closing(sqlite3.connect(trail / "audit.sqlite")) as connection, connection:
        connection.execute("UPDATE events SET record = '[' WHERE seq = 2")
    result = CliRunner().invoke(app, ["audit", "coverage", "--folder", str(trail)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "record 2: it is damaged" in " ".join(result.stderr.split())


def test_a_fallen_consult_rate_is_told(tmp_path: Path) -> None:
    store = AuditStore(tmp_path)

    async def fill() -> None:
        for n in range(900):
            found = [{"query": "q", "rules": []}] if n < 600 and n % 3 == 0 else []
            await store.write(Entry(f"r{n}", "finished", "t", {"choices": [{"consultations": found}]}))

    asyncio.run(fill())
    store.close()
    code, said = run("audit", "drift", "--folder", str(tmp_path))
    assert code == 1
    assert "the consult rate fell" in said
    assert run("audit", "drift", "--folder", str(tmp_path), "--expected", "0.22")[0] in (0, 1)
    assert run("audit", "drift", "--folder", str(tmp_path), "--expected", "1")[0] == 2
