"""Contents of conversations: kept where the tenant consents, sealed with its key, named where they were changed."""

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from consenting import a_key, ask
from gateways import Serve, Served
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import answers, consults
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.errors import InputError
from ascl.serve.trail import erasure
from ascl.serve.trail.audit import AUDIT, AuditError, AuditStore, Entry, export, verify
from ascl.serve.trail.contents import conversation, conversations
from ascl.serve.trail.erasure import Erased, erase, keep_for
from ascl.serve.trail.tenant_keys import TENANT_KEYS, TenantKeys

SECRETS = [b"4711", b"My plan", b"poison a dog", b"I will not"]


def held(served: Served) -> bytes:
    """What the trail's files hold, the write-ahead log with them."""
    return b"".join(path.read_bytes() for path in served.folder.glob(f"{AUDIT}*"))


@pytest.fixture
def script(serving: Serve):  # type: ignore[no-untyped-def]
    with serving(consults("poison a dog", thought="My plan."), answers("I will ", "not.", thought="My plan.")) as made:
        yield made


def test_contents_are_kept_by_consent_alone(script: Served) -> None:
    silent, speaking = a_key(script, "a", contents=False), a_key(script, "b")
    ask(script, silent)
    assert list(conversations(script.folder / AUDIT)) == []
    assert not (script.folder / TENANT_KEYS).exists()
    request = ask(script, speaking)
    assert [one.id for one in conversations(script.folder / AUDIT)] == [request]


def test_a_conversation_comes_back_whole(script: Served) -> None:
    request = ask(
        script,
        a_key(script),
        messages=[{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "My secret 4711?"}],
        temperature=0.5,
    )
    kept = conversation(script.folder / AUDIT, request)
    assert kept.conversation is not None
    said, (answer,) = kept.conversation, kept.conversation.answers
    assert (kept.kind, kept.tenant, said.asked.system) == ("finished", "team", "Be kind.")
    assert said.asked.options == {"temperature": 0.5}
    assert said.rules == script.gateway.books.pin("default").version
    assert said.tool == script.gateway.books.pin("default").tool.schema
    assert answer.trajectory.answer == "I will not."
    assert answer.trajectory.thoughts == ["My plan.", "My plan."]
    assert [one.query for one in answer.trajectory.consultations] == ["poison a dog"]
    assert [one["content"] for one in export(script.folder / AUDIT) if "content" in one], "the record has the hash"


def test_no_file_of_the_trail_holds_plain_text(script: Served) -> None:
    ask(script, a_key(script))
    assert (script.folder / TENANT_KEYS).stat().st_mode & 0o077 == 0
    key = json.loads((script.folder / TENANT_KEYS).read_text())["team"]
    found = held(script)
    assert found and not any(secret in found for secret in [*SECRETS, bytes.fromhex(key), key.encode()])


def test_a_stream_that_its_client_left_is_kept_as_far_as_it_came(serving: Serve) -> None:
    import httpx2

    with serving([*answers("So far", ".")[:2], 30.0, *answers()]) as served:
        headers = {"authorization": f"Bearer {a_key(served)}"}
        body = {"model": "model", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        url = f"{served.url}/v1/chat/completions"
        with httpx2.stream("POST", url, json=body, headers=headers, timeout=30) as reply:
            next(reply.iter_lines())
        assert served.script.closed.wait(20)
    (kept,) = conversations(served.folder / AUDIT)
    assert kept.kind == "aborted" and kept.conversation is not None
    assert kept.conversation.answers[0].trajectory.answer is None


def test_an_erased_tenant_can_not_be_read_again_and_others_can(script: Served) -> None:
    path = script.folder / AUDIT
    keys = {tenant: a_key(script, tenant) for tenant in ("a", "b")}
    requests = {tenant: ask(script, key) for tenant, key in keys.items()}
    with closing(sqlite3.connect(path)) as connection:
        rows = dict(connection.execute("SELECT seq, sealed FROM contents"))
    copies = {kept.tenant: (kept.seq, rows[kept.seq]) for kept in conversations(path)}
    old = (script.folder / TENANT_KEYS).read_bytes()
    assert erase(path, "a") == Erased(0, 1)
    assert TenantKeys(script.folder / TENANT_KEYS).unseal("a", *copies["a"]) is None
    assert TenantKeys(script.folder / TENANT_KEYS).unseal("b", *copies["b"])
    assert copies["a"][1] not in held(script)
    assert json.loads(old)["a"].encode() not in b"".join(one.read_bytes() for one in script.folder.iterdir())
    with pytest.raises(InputError, match="there is no content of request"):
        conversation(path, requests["a"])
    assert conversation(path, requests["b"]).tenant == "b"
    assert verify(path) == (4, None)
    again = ask(script, keys["a"])  # the gateway has seen that its key is gone, and makes another
    assert conversation(path, again).tenant == "a"
    with pytest.raises(InputError, match="does not open"):
        TenantKeys(script.folder / TENANT_KEYS).unseal("a", *copies["a"])
    assert erase(path) == Erased(0, 2)
    assert json.loads((script.folder / TENANT_KEYS).read_text()) == {}


def test_the_bytes_of_a_destroyed_key_are_overwritten(tmp_path: Path) -> None:
    keys = TenantKeys(tmp_path / TENANT_KEYS)
    keys.seal("a", 1, b"x")
    with (tmp_path / TENANT_KEYS).open("rb") as old:
        keys.destroy("a")
        assert set(old.read()) == {0}


CHANGES = (
    "UPDATE contents SET sealed = zeroblob(40) WHERE seq = 2",
    "UPDATE contents SET seq = 1 WHERE seq = 2",
    "INSERT INTO contents VALUES (3, x'00')",
    "INSERT INTO contents VALUES (5, x'00')",
    "DELETE FROM events WHERE seq = 4",
)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a trail with two contents."""
    folder = tmp_path_factory.mktemp("sealed")
    write(
        folder,
        [
            Entry(f"r{n}", kind, "t", {}, (), b"{}" * (kind != "begun"))
            for n in range(2)
            for kind in ("begun", "finished")
        ],
    )
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(folder: Path, entries: list[Entry]) -> None:
    store = AuditStore(folder)

    async def all_of_them() -> None:
        for entry in entries:
            await store.write(entry)

    try:
        asyncio.run(all_of_them())
    finally:
        store.close()


def laid_out(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / AUDIT


@pytest.mark.parametrize(("change", "named"), zip(CHANGES, (2, 1, 3, 5, 4), strict=True))
def test_a_changed_content_is_named(sealed: dict[str, bytes], tmp_path: Path, change: str, named: int) -> None:
    path = laid_out(sealed, tmp_path)
    assert verify(path) == (4, None)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    assert verify(path) == (named - 1, named)


def test_a_changed_content_is_one_line_to_whoever_reads(sealed: dict[str, bytes], tmp_path: Path) -> None:
    path = laid_out(sealed, tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(CHANGES[0])
    with pytest.raises(InputError, match="record 2: the key of its tenant does not open"):
        conversation(path, "r0")
    with pytest.raises(InputError, match="record 4: another version of ascl"):
        conversation(path, "r1")


TENANTS = ['a", 1', "a", "é", "\0"]


@pytest.fixture(scope="module")
def tenant_keys(tmp_path_factory: pytest.TempPathFactory) -> TenantKeys:
    """A file with a key for each of TENANTS."""
    keys = TenantKeys(tmp_path_factory.mktemp("keys") / TENANT_KEYS)
    for tenant in TENANTS:
        keys.seal(tenant, 1, b"")
    return TenantKeys(keys.path)


@settings(deadline=None)
@given(st.permutations(TENANTS), st.integers(1, 99), st.binary(min_size=1, max_size=50), st.integers(0, 200))
def test_what_is_sealed_opens_for_its_tenant_and_record_alone(
    tenant_keys: TenantKeys, tenants: list[str], seq: int, content: bytes, flipped: int
) -> None:
    keys, (tenant, other, *_) = tenant_keys, tenants
    made = keys.seal(tenant, seq, content)
    assert keys.unseal(tenant, seq, made) == content
    assert made != keys.seal(tenant, seq, content)
    place = flipped % len(made)
    for of, number, blob in (
        (other, seq, made),
        (tenant, seq + 1, made),
        (tenant, seq, made[:place]),
        (tenant, seq, made[:place] + bytes([made[place] ^ 1]) + made[place + 1 :]),
    ):
        with pytest.raises(InputError):
            keys.unseal(of, number, blob)


def test_a_damaged_key_file_stops_a_start_and_lets_no_answer_leave(tmp_path: Path) -> None:
    path = tmp_path / TENANT_KEYS
    for damaged in ("[", "[]", '{"a": "00"}', '{"a": 1}'):
        path.write_text(damaged)
        with pytest.raises(InputError, match=TENANT_KEYS):
            AuditStore(tmp_path)
    path.unlink()
    store = AuditStore(tmp_path)
    path.write_text("[")
    with pytest.raises(AuditError):
        asyncio.run(store.write(Entry("r", "finished", "t", {}, (), b"x")))
    asyncio.run(store.write(Entry("r", "finished", "t", {})))
    store.close()


def test_old_texts_and_contents_go_in_batches_and_the_chain_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "BATCH", 3)
    clock = iter([1000.0] * 7 + [time.time()] * 2)
    monkeypatch.setattr("ascl.serve.trail.audit.time.time", lambda: next(clock, 2e9))
    write(tmp_path, [Entry(f"r{n}", "finished", "t", {}, (f"query {n}",), b"content") for n in range(9)])
    monkeypatch.undo()
    path = tmp_path / AUDIT

    async def until_gone() -> None:
        keeping = asyncio.create_task(keep_for(path, 1))
        store = AuditStore(tmp_path)  # records are written meanwhile
        while len(list(conversations_left(path))) > 2:
            await store.write(Entry("late", "finished", "t", {}))
        keeping.cancel()
        store.close()

    asyncio.run(until_gone())
    assert list(conversations_left(path)) == [8, 9]
    left = b"".join(one.read_bytes() for one in tmp_path.glob(f"{AUDIT}*"))
    assert b"query 6" not in left and b"query 7" in left
    assert verify(path)[1] is None
    assert erase(path, before=time.time() - 86_400) == Erased(0, 0)
    assert erase(path, before=3e9) == Erased(2, 2)
    assert json.loads((tmp_path / TENANT_KEYS).read_text()).keys() == {"t"}, "by age, keys stay"


def test_an_erasure_that_a_reader_holds_up_says_so(sealed: dict[str, bytes], tmp_path: Path) -> None:
    path = laid_out(sealed, tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT sealed FROM contents").fetchone()
        with pytest.raises(InputError, match="still holds what was deleted"):
            erase(path)
    assert erase(path) == Erased(0, 0)


def conversations_left(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [seq for (seq,) in connection.execute("SELECT seq FROM contents ORDER BY seq")]


def test_a_gateway_deletes_what_is_too_old_while_it_serves(
    serving: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("ascl.serve.trail.audit.time.time", lambda: 1000.0)
        write(tmp_path / "gateway", [Entry("old", "finished", "t", {}, ("old query",), b"old")])
    with serving(answers("Yes."), keep_days=1) as served:
        key, asked = a_key(served), set()
        for _ in range(300):
            asked.add(ask(served, key))
            if 1 not in conversations_left(served.folder / AUDIT):
                break
        assert {one.id for one in conversations(served.folder / AUDIT)} == asked
        assert verify(served.folder / AUDIT)[1] is None


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments])
    return result.exit_code, result.output


def test_a_conversation_is_shown_cleaned(serving: Serve) -> None:
    with serving(consults("poison \x1b[2Ja dog", thought="A\nanswers:\nB"), answers("No \x1b]0;x\x07way.")) as served:
        request = ask(served, a_key(served), "Hi \u202e4711\x9b2J")
        folder = str(served.folder)
        code, said = run("audit", "contents", request, "--folder", folder)
    assert code == 0
    assert not any(sign in said for sign in "\x1b\x07\x9b\u202e")
    lines = said.splitlines()
    assert lines[lines.index("user:") + 1] == "  Hi 47112J"
    assert lines[lines.index("thinks:") + 1 :][:3] == ["  A", "  answers:", "  B"]
    assert lines[lines.index("consults:") + 1] == "  poison [2Ja dog"
    assert lines[lines.index("answers:") + 1] == "  No ]0;xway."
    assert lines[-1] == "ended: answered"
    assert run("audit", "contents", "nothing", "--folder", folder)[0] == 2
    assert run("audit", "erase", "--tenant", "team", "--folder", folder) == (
        0,
        "0 queries and 1 conversations erased\n",
    )
    assert run("audit", "contents", request, "--folder", folder)[0] == 2
    assert run("audit", "verify", "--folder", folder) == (0, "2 records, all in the chain\n")
