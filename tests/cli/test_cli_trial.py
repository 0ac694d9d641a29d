"""`ascl audit shadow`, `canary` and `feedback` as a user types them."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.serve.trail.audit import AUDIT, AuditStore, Entry
from ascl.serve.trial.canary import TESTS

CANARY = {"canary": "ab12cd34", "rules": "v1", "candidate": "c1", "share": 0.5, "tests": list(TESTS)}


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments])
    return result.exit_code, " ".join(result.output.split())


def entries(answers: int, refused_by: str) -> Iterator[Entry]:
    """A canary: answers by turns under either arm, of which one refuses; over-refusals are reported of every fourth."""
    yield Entry("canary-ab12cd34", "canary", "", CANARY | {"state": "begun"})
    for n in range(answers):
        arm = "candidate" if n % 2 else "active"
        looked_up: dict[str, Any] = {"query": f"q{n}", "top_k": 2, "rules": [["a.a", 0.5], ["a.b", 0.4]]}
        if arm == "active":
            looked_up["candidate"] = ["a.a", "a.c"]
        part = {"id": "ab12cd34", "arm": arm, "conversation": f"c{n}"}
        choice = {"stop": "answered", "finish_reason": "stop", "consultations": [looked_up]}
        yield Entry(f"r{n}", "begun", "team", {"rules": "v1", "candidate": "c1", "arm": arm})
        events = {"events": ["refused"] if arm == refused_by else []}
        yield Entry(f"r{n}", "finished", "team", {"choices": [choice], "canary": part | events})
        if n % 4 == 0:
            yield Entry(f"r{n}", "feedback", "team", {"verdict": "over_refusal"})


def write(folder: Path, written: list[Entry]) -> str:
    store = AuditStore(folder)

    async def all_at_once() -> None:
        await asyncio.gather(*map(store.write, written))

    asyncio.run(all_at_once())
    store.close()
    return str(folder)


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A trail whose candidate refuses everything, without the record of its end."""
    return write(tmp_path_factory.mktemp("worse"), list(entries(40, "candidate")))


def test_shadow_counts_by_rule(worse: str) -> None:
    code, said = run("audit", "shadow", "--folder", worse)
    assert code == 0
    assert "candidate c1: 20 look-ups of 20 different queries" in said
    assert "100.0 % (83.9 to 100.0) find other rules; 0 more" in said
    assert "a.b" in said
    assert "a.a" not in said, "it is neither gained nor lost"
    told = json.loads(run("audit", "shadow", "--folder", worse, "--json", "--days", "1")[1])
    assert told["rules"]["a.c"]["gained"]["value"] == 1
    assert told["rules"]["a.b"]["after"] == 0


def test_canary_shows_the_arms_and_makes_the_tests_again(worse: str) -> None:
    code, said = run("audit", "canary", "--folder", worse)
    assert code == 1
    assert "candidate c1 for 50 % of the conversations" in said
    assert "ended: more refusals" in said
    told = json.loads(run("audit", "canary", "--folder", worse, "--json")[1])
    assert told["arms"]["candidate"] == {"answers": 20, "consulted": 20, "events": {"refused": 20}}
    assert told["evidence"]["more refusals"] > 100 > told["evidence"]["fewer refusals"]
    assert (told["worse"], told["stopped"]) == ("more refusals", None)


def test_a_canary_that_goes_on_is_no_failure_and_one_that_was_stopped_is(tmp_path: Path) -> None:
    folder = write(tmp_path, list(entries(6, "candidate")))
    code, said = run("audit", "canary", "--folder", folder)
    assert (code, "ended" in said) == (0, False)
    write(tmp_path, [Entry("canary-ab12cd34", "canary", "", CANARY | {"state": "stopped", "test": "more faults"})])
    code, said = run("audit", "canary", "--folder", folder)
    assert (code, "ended: more faults" in said) == (1, True)


def test_feedback_ranks_the_rules(worse: str) -> None:
    code, said = run("audit", "feedback", "--folder", worse)
    assert code == 0
    assert "verdicts: over_refusal 10" in said
    assert "10 (29.9 to 70.1 %) of 20 answers that read a rule" in said, "the candidate has rules of its own"
    told = json.loads(run("audit", "feedback", "--folder", worse, "--json")[1])
    assert told["rules"]["a.a"]["marked"] == 10


def test_a_trail_without_any_of_it_says_so(tmp_path: Path) -> None:
    folder = write(tmp_path, [Entry("r1", "begun", "team", {"rules": "v1"}), Entry("r1", "finished", "team", {})])
    assert run("audit", "shadow", "--folder", folder)[0] == 2
    code, said = run("audit", "canary", "--folder", folder)
    assert code == 2
    assert "there was no canary" in said
    assert "verdicts: none" in run("audit", "feedback", "--folder", folder)[1]


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("canary", CANARY | {"state": "begun", "share": 2}),
        ("canary", CANARY | {"state": "begun", "tests": ["no such"]}),
        ("finished", {"canary": {"id": "ab12cd34", "arm": "other", "conversation": "c", "events": []}}),
        ("feedback", {"verdict": "bad"}),
    ],
)
def test_a_damaged_record_is_one_line(tmp_path: Path, kind: str, record: dict[str, Any]) -> None:
    folder = write(tmp_path, list(entries(2, "active")))
    with closing(sqlite3.connect(tmp_path / AUDIT)) as connection, connection:
        where = "seq = (SELECT MAX(seq) FROM events WHERE kind = ?)"
        connection.execute(f"UPDATE events SET record = ? WHERE {where}", (json.dumps(record, sort_keys=True), kind))
    command = "feedback" if kind == "feedback" else "canary"
    code, said = run("audit", command, "--folder", folder)
    assert code == 2
    assert "of the trail" in said
