"""The promise: every answer of which a byte left has a record, every finished one its final record, and none lies."""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateways import Serve, Served
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import answers, consults, scripted

from ascl.errors import InputError
from ascl.serve.trail import audit
from ascl.serve.trail.audit import AuditError, AuditStore, Entry, export, verify
from ascl.serve.trail.erasure import Erased, erase

TRAIL = "audit.sqlite"


def write(store: AuditStore, entries: list[Entry]) -> None:
    async def all_at_once() -> None:
        await asyncio.gather(*map(store.write, entries))

    asyncio.run(all_at_once())


def filled(folder: Path, count: int = 6) -> Path:
    store = AuditStore(folder)
    write(store, [Entry(f"r{n}", kind, "t", {"n": n}) for n in range(count) for kind in ("begun", "finished")])
    store.close()
    return folder / TRAIL


def test_what_was_written_is_read_again_and_fits(tmp_path: Path) -> None:
    path = filled(tmp_path)
    assert verify(path) == (12, None)
    assert [one["n"] for one in export(path)] == [n for n in range(6) for _ in range(2)]


CHANGES = (
    "UPDATE events SET record = '{}' WHERE seq = 5",
    "UPDATE events SET tenant = 'x' WHERE seq = 5",
    "UPDATE events SET kind = 'failed' WHERE seq = 5",
    "UPDATE events SET at = at + 1 WHERE seq = 5",
    "UPDATE events SET id = 'z' WHERE seq = 5",
    "DELETE FROM events WHERE seq = 5",
)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_named(tmp_path: Path, change: str) -> None:
    path = filled(tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    assert verify(path) == (4, 5)


def test_open_records_are_marked_at_the_next_start(tmp_path: Path) -> None:
    store = AuditStore(tmp_path)
    write(store, [Entry("a", "begun", "t", {}), Entry("b", "begun", "t", {}), Entry("a", "finished", "t", {})])
    store.close()
    AuditStore(tmp_path).close()
    AuditStore(tmp_path).close()
    assert [(one["id"], one["kind"]) for one in export(tmp_path / TRAIL)][-1] == ("b", "crashed")
    assert verify(tmp_path / TRAIL) == (4, None)


def test_erased_texts_are_gone_from_the_file_and_the_chain_holds(tmp_path: Path) -> None:
    store, secret = AuditStore(tmp_path), "a very private question"
    entries = [Entry(f"r{n}", "finished", tenant, {}, (f"{secret} {tenant}",)) for n, tenant in enumerate("ab")]
    write(store, entries)
    store.close()
    assert [one["queries"] for one in export(tmp_path / TRAIL, "a")] == [[f"{secret} a"]]
    assert erase(tmp_path / TRAIL, "a") == Erased(1, 0)
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert f"{secret} a".encode() not in left
    assert f"{secret} b".encode() in left
    assert erase(tmp_path / TRAIL) == Erased(1, 0)
    assert verify(tmp_path / TRAIL) == (2, None)


def test_a_trail_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no audit trail"):
        verify(tmp_path / TRAIL)
    (tmp_path / TRAIL).write_bytes(b"not a database at all" * 100)
    for ask in (lambda: verify(tmp_path / TRAIL), lambda: AuditStore(tmp_path)):
        with pytest.raises(InputError, match="no audit trail"):
            ask()


@settings(deadline=None, max_examples=25)
@given(st.text(max_size=40), st.text(max_size=40))
def test_a_hash_of_a_text_is_the_tenants_own(tmp_path_factory: Any, one: str, other: str) -> None:
    folder = tmp_path_factory.mktemp("trail")
    store = AuditStore(folder)
    try:
        assert store.hashed("a", one) == store.hashed("a", one)
        assert (store.hashed("a", one) == store.hashed("a", other)) == (one == other)
        assert store.hashed("a", one) != store.hashed("b", one)
    finally:
        store.close()
    assert (folder / "audit.key").stat().st_mode & 0o077 == 0


def ask(served: Served, **fields: Any) -> httpx2.Response:
    body = {"model": "model", "messages": [{"role": "user", "content": "My secret 4711?"}], **fields}
    return httpx2.post(f"{served.url}/v1/chat/completions", json=body, timeout=30)


@pytest.mark.parametrize("stream", [True, False])
def test_without_a_trail_there_is_no_answer(serving: Serve, monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    with serving(answers("Yes.")) as served:

        def full(*_: Any) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(audit, "_append", full)
            reply = ask(served, stream=stream)
            assert reply.status_code == 503
            assert "Yes." not in reply.text
        assert ask(served).status_code == 200


def test_a_record_holds_no_text_of_the_client(serving: Serve) -> None:
    with serving(consults("secret 4711"), answers("Secret 4711.")) as served:
        assert ask(served).status_code == 200
    held = b"".join(path.read_bytes() for path in served.folder.iterdir())
    assert b"4711" not in held
    *_, record = export(served.folder / TRAIL)
    (consultation,) = record["choices"][0]["consultations"]
    assert re.fullmatch(r"[0-9a-f]{32}", consultation["query"])
    assert consultation["rules"]


def test_queries_are_kept_where_it_is_wanted(serving: Serve) -> None:
    with serving(consults("secret 4711"), answers("No."), keep_queries=True) as served:
        assert ask(served).status_code == 200
        *_, record = export(served.folder / TRAIL)
        assert record["queries"] == ["secret 4711"]


GATEWAY = """
import sys
from pathlib import Path
from ascl.serve.run import ServeSettings, open_gateway, serve_forever
from ascl.serve.upstream import HttpUpstream
settings = ServeSettings("default", 2, Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]))
serve_forever(open_gateway(settings, ["model"], HttpUpstream(sys.argv[3])), settings)
"""


def test_kill_minus_nine_loses_no_record_of_an_answer(tmp_path: Path) -> None:
    """Answers are fetched while the gateway is killed again and again; whatever came whole is in the trail."""
    import socket

    received, folder = set(), tmp_path / "gateway"
    with scripted(consults(), answers("No."), *[consults(), answers("No.")] * 2000) as script:
        for _ in range(4):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            child = subprocess.Popen(
                [sys.executable, "-c", GATEWAY, str(folder), str(port), script.url], stderr=subprocess.PIPE, text=True
            )
            assert child.stderr is not None
            while "listening" not in child.stderr.readline():
                assert child.poll() is None
            body = {"model": "model", "messages": [{"role": "user", "content": "Tea?"}]}
            for number in range(12):
                reply = httpx2.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body, timeout=30)
                received.add(reply.headers["x-request-id"])
                if number == 9:  # the next two are under way or not begun when it dies
                    os.kill(child.pid, signal.SIGKILL)
                    break
            child.wait()
            child.stderr.close()
    AuditStore(folder).close()
    finished = {one["id"] for one in export(folder / TRAIL) if one["kind"] == "finished"}
    assert received <= finished
    assert len(received) == 40
    count, broken = verify(folder / TRAIL)
    assert broken is None
    assert count >= 80


def test_a_store_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = AuditStore(tmp_path)

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(audit, "_append", full)
    with pytest.raises(AuditError):
        write(store, [Entry("a", "begun", "t", {})])
    monkeypatch.undo()
    write(store, [Entry("b", "begun", "t", {})])
    store.close()
    assert verify(tmp_path / TRAIL) == (1, None)
