"""Verdicts of clients: of their own tenant's requests alone, once each, without a text; what they say of the rules."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateways import Serve, Served, serve_in
from hypothesis import given
from hypothesis import strategies as st
from scripted import answers, consults, delta

from ascl.serve.keys import make_key
from ascl.serve.run import KEYS
from ascl.serve.trail.audit import AuditError, export, verify
from ascl.serve.trail.consultations import Recorded, recorded
from ascl.serve.trial.over_refusal import ENOUGH, shrunk, signals, verdicts
from ascl.serve.trial.trial import NOBODY

TRAIL = "audit.sqlite"


def ask(served: Served, key: str = "") -> str:
    body = {"model": "model", "messages": [{"role": "user", "content": "Tea?"}]}
    reply = httpx2.post(f"{served.url}/v1/chat/completions", json=body, headers=bearer(key), timeout=30)
    return str(reply.headers["x-request-id"])


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}


def judge(served: Served, body: Any, key: str = "") -> httpx2.Response:
    return httpx2.post(f"{served.url}/v1/feedback", json=body, headers=bearer(key), timeout=30)


def kept(folder: Path) -> list[dict[str, Any]]:
    return [one for one in export(folder / TRAIL) if one["kind"] == "feedback"]


def test_a_verdict_is_a_record_of_the_chain_and_stands_once(serving: Serve) -> None:
    with serving(answers("Yes.")) as served:
        id = ask(served)
        for verdict in ("over_refusal", "good", "over_refusal"):
            reply = judge(served, {"request": id, "verdict": verdict})
            assert (reply.status_code, reply.json()) == (200, {"request": id, "verdict": verdict})
        assert [(one["id"], one["verdict"], one["tenant"]) for one in kept(served.folder)] == [
            (id, "over_refusal", "local"),
            (id, "good", "local"),
        ]
        text = httpx2.get(f"{served.url}/metrics").text
        assert 'ascl_feedback_total{verdict="over_refusal"} 1.0' in text
    assert verdicts(served.folder / TRAIL) == {id: {"over_refusal", "good"}}
    assert verify(served.folder / TRAIL) == (4, None)


@pytest.mark.parametrize(
    "body",
    [
        {"request": "x", "verdict": "bad"},
        {"request": "x"},
        {"request": "x' OR 1", "verdict": "good"},
        {"request": "x" * 65, "verdict": "good"},
        {"request": 1, "verdict": "good"},
        {"request": "x", "verdict": "good", "comment": "a text of the client"},
        {"request": "x" * 5000, "verdict": "good"},
        ["x", "good"],
    ],
)
def test_what_is_no_verdict_is_refused_and_leaves_nothing(served_once: Served, body: Any) -> None:
    assert judge(served_once, body).status_code in (400, 413)
    assert kept(served_once.folder) == []


@pytest.fixture(scope="module")
def served_once(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serve_in(tmp_path_factory.mktemp("feedback"), answers("Yes.")) as served:
        yield served


def test_a_request_of_another_tenant_is_not_there(serving: Serve) -> None:
    with serving(answers("Yes.")) as served:
        one, same, other = (make_key(served.folder / KEYS, tenant) for tenant in ("one", "one", "other"))
        served.gateway.keys.load()
        id = ask(served, one)
        theirs, none = (judge(served, {"request": id, "verdict": "good"}, key) for key in (other, one + "x"))
        unknown = judge(served, {"request": "nobody", "verdict": "good"}, one)
        canary = judge(served, {"request": "canary-00000000", "verdict": "good"}, one)
        assert (theirs.status_code, none.status_code, unknown.status_code, canary.status_code) == (404, 401, 404, 404)
        assert theirs.json() == unknown.json()
        assert judge(served, {"request": id, "verdict": "good"}, same).status_code == 200
    assert [one["tenant"] for one in kept(served.folder)] == ["one"]
    assert NOBODY == "", "no key can have this tenant"


def test_an_answer_is_judged_when_it_has_ended(serving: Serve) -> None:
    with serving([delta(role="assistant", content="Mix "), 60.0]) as served:
        body = {"model": "model", "messages": [{"role": "user", "content": "Tea?"}], "stream": True}
        with httpx2.stream("POST", f"{served.url}/v1/chat/completions", json=body, timeout=30) as reply:
            verdict = {"request": reply.headers["x-request-id"], "verdict": "harmful"}
            assert judge(served, verdict).status_code == 409
        assert any(judge(served, verdict).status_code == 200 for _ in range(1000)), "it was aborted"


def test_without_a_trail_no_verdict_is_taken(serving: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answers("Yes.")) as served:
        id = ask(served)

        async def full(entry: Any) -> None:
            raise AuditError("the disk is full")

        monkeypatch.setattr(served.gateway.audit, "write", full)
        assert judge(served, {"request": id, "verdict": "good"}).status_code == 503


def test_verdicts_on_one_arm_end_a_canary(serving: Serve, tmp_path: Path) -> None:
    book = "category: tea\ntitle: Tea\nrules:\n- {id: tea.cold, text: Serving cold tea to a guest.}\n"
    (tmp_path / "old.yaml").write_text(book)
    (tmp_path / "new.yaml").write_text(book.replace("cold", "warm"))
    names = {"rules": str(tmp_path / "old.yaml"), "candidate": str(tmp_path / "new.yaml")}
    with serving(answers("Yes."), canary=0.5, **names) as served:
        trial = served.gateway.trial
        assert trial is not None
        for n in range(9):  # as many conversations were judged so before
            trial._canary.comparison.add(["harmful"], f"before {n}", "candidate")
        for user in range(100):
            body = {"model": "model", "messages": [{"role": "user", "content": "Tea?"}], "user": f"u{user}"}
            reply = httpx2.post(f"{served.url}/v1/chat/completions", json=body, timeout=30)
            if reply.headers["x-ascl-rules"] == served.gateway.books.pin("candidate").version:
                break
        id = reply.headers["x-request-id"]
        assert judge(served, {"request": id, "verdict": "good"}).status_code == 200
        assert trial.stopped == {}
        assert judge(served, {"request": id, "verdict": "harmful"}).status_code == 200
        assert list(trial.stopped.values()) == ["more harmful answers reported"]
    good, harmful = kept(served.folder)
    assert "canary" not in good
    assert (harmful["canary"]["arm"], harmful["canary"]["events"]) == ("candidate", ["harmful"])


def test_a_trail_with_verdicts_is_read_as_before(serving: Serve) -> None:
    with serving(consults("poison"), answers("No."), keep_queries=True) as served:
        id = ask(served)
        assert judge(served, {"request": id, "verdict": "over_refusal"}).status_code == 200
    past = list(recorded(export(served.folder / TRAIL)))
    assert [one.query for one in past] == ["poison"]
    assert signals(past, verdicts(served.folder / TRAIL)).marked == 1
    withheld = [replace(one, ending="content_filter") for one in past]
    assert signals(withheld, verdicts(served.folder / TRAIL)).answers == 0, "a guard refused, not the rules"


def read(request: int, *rules: str, choice: int = 0) -> Recorded:
    return Recorded(f"r{request} {choice}", 0.0, "v1", rules, "answered", None, 3)


rows = st.lists(st.builds(read, st.integers(0, 60), st.sampled_from("abcd"), st.sampled_from("abcd")), max_size=200)
said = st.dictionaries(
    st.integers(0, 70).map(lambda n: f"r{n}"), st.sets(st.sampled_from(["over_refusal", "good"]), min_size=1)
)


@given(rows, said)
def test_signals_are_those_of_a_plain_count(past: list[Recorded], given_: dict[str, set[Any]]) -> None:
    found = signals(past, given_)
    requests = {one.answer.partition(" ")[0] for one in past}
    assert found.answers == len(requests)
    for rule in {rule for one in past for rule in one.rules}:
        of = {one.answer.partition(" ")[0] for one in past if rule in one.rules}
        if len(of) < ENOUGH:
            assert found.few[rule] == len(of)
            continue
        signal = found.rules[rule]
        assert (signal.answers, signal.judged) == (len(of), len(of & given_.keys()))
        assert signal.marked == sum("over_refusal" in given_.get(one, ()) for one in of)
        assert signal.low <= signal.marked / signal.answers <= signal.high
    lows = [one.low for one in found.rules.values()]
    assert lows == sorted(lows, reverse=True)


counts = st.lists(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), max_size=12)


@given(counts)
def test_a_shrunk_share_lies_between_its_own_and_that_of_all(pairs: list[tuple[int, int]]) -> None:
    found = shrunk(pairs)
    assert len(found) == len(pairs)
    for (k, n), one in zip(pairs, found, strict=True):
        p = sum(k for k, _ in pairs) / sum(n for _, n in pairs)
        assert min(k / n, p) - 1e-9 <= one <= max(k / n, p) + 1e-9


def test_rules_that_differ_by_chance_are_drawn_together_and_others_are_not() -> None:
    assert shrunk([(10, 100), (11, 100), (9, 100)]) == [0.1, 0.1, 0.1]
    few, many, *_ = shrunk([(5, 10), (500, 1000), *[(50, 1000)] * 8])
    assert 0.09 < few < many < 0.5
    assert shrunk([]) == []
    assert shrunk([(0, 5), (0, 9)]) == [0, 0]


def test_the_rule_that_is_behind_it_comes_first() -> None:
    past = [read(n, "a.bad" if n % 4 == 0 else "a.well", "a.both") for n in range(400)]
    past += [read(n, "a.rare") for n in range(5)]
    marked = {f"r{n}": {"over_refusal"} for n in range(400) if n % 8 == 0}
    found = signals(past, marked)  # type: ignore[arg-type]
    assert list(found.rules) == ["a.bad", "a.both", "a.well"]
    assert (found.rules["a.bad"].marked, found.rules["a.well"].marked) == (50, 0)
    assert found.few == {"a.rare": 5}
