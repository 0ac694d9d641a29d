"""A book that is edited while requests run: each is answered under one version, and bad edits change nothing."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateways import Serve, Served
from scripted import answers, consults

from ascl.consult.tool import ConsultTool
from ascl.errors import InputError
from ascl.files import write_text
from ascl.rules.book import RuleBook
from ascl.rules.load import load_rules
from ascl.rules.rule import Rule
from ascl.rules.signature import make_signing_key, sign, signature_file
from ascl.serve.books import version_of
from ascl.serve.trail.audit import export

OLD = "category: tea\ntitle: Tea\nrules:\n- {id: tea.cold, text: Serving cold tea to a guest in the house.}\n"
NEW = "category: tea\ntitle: Tea\nrules:\n- {id: tea.warm, text: Serving warm tea to a guest in the house.}\n"


def ask(served: Served) -> httpx2.Response:
    body = {"model": "model", "messages": [{"role": "user", "content": "Tea?"}]}
    return httpx2.post(f"{served.url}/v1/chat/completions", json=body, timeout=30)


def until(said: Any) -> None:
    end = time.monotonic() + 10
    while not said():
        assert time.monotonic() < end
        threading.Event().wait(0.02)


def test_no_request_sees_two_versions(serving: Serve, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(OLD)
    turns = [consults("serving tea"), answers("Yes.")] * 200
    with serving(*turns, rules=str(rules)) as served:
        served.script.turns = turns
        first = served.gateway.books.pin("default").version
        replies: list[httpx2.Response] = []
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                served.script.bodies.clear()
                replies.append(ask(served))

        worker = threading.Thread(target=load)
        worker.start()
        until(lambda: len(replies) > 3)
        write_text(rules, NEW)
        until(lambda: served.gateway.books.pin("default").version != first)
        count = len(replies)
        until(lambda: len(replies) > count + 3)
        stop.set()
        worker.join()
        second = served.gateway.books.pin("default").version
        seen = set()
        for reply in replies:
            assert reply.status_code == 200
            ours = reply.json()["ascl"]
            (found,) = ours["consultations"]
            seen.add((ours["rules"], found["rules"][0]["id"]))
            assert reply.headers["x-ascl-rules"] == ours["rules"]
        assert seen == {(first, "tea.cold"), (second, "tea.warm")}
        records = {one["id"]: one for one in export(served.folder / "audit.sqlite") if one["kind"] == "begun"}
        assert {one["rules"] for one in records.values()} == {first, second}


def test_a_bad_edit_leaves_the_last_good_book_in_force(serving: Serve, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(OLD)
    with serving(answers("Yes."), rules=str(rules)) as served:
        books, before = served.gateway.books, served.gateway.books.pin("default")
        for bad in ("rules: [", "category: tea\ntitle: Tea\nrules: []\n"):
            write_text(rules, bad)
            until(lambda: "default" in books.problem)
            assert books.pin("default") is before
            assert ask(served).status_code == 200
            assert httpx2.get(f"{served.url}/readyz").json()["problems"] == 1
            write_text(rules, OLD + "# again\n")
            until(lambda: not books.problem)
        rules.unlink()
        until(lambda: "default" in books.problem)
        assert books.pin("default") is before


def test_the_version_says_all_that_a_look_up_depends_on() -> None:
    rules = [Rule(id=f"a.{n}", category="a", title="A", text=f"Rule {n} of the house.") for n in range(3)]
    plain = version_of(ConsultTool(RuleBook(rules), 2))
    others = [
        ConsultTool(RuleBook(rules[::-1]), 2),
        ConsultTool(RuleBook(rules), 3),
        ConsultTool(RuleBook(rules), 2, exemptions=False),
        ConsultTool(RuleBook([rules[0].model_copy(update={"exempt": "On Sundays."}), *rules[1:]]), 2),
        ConsultTool(RuleBook([rules[0].model_copy(update={"title": "B"}), *rules[1:]]), 2),
        ConsultTool(RuleBook(rules), 2, topics=False),
    ]
    versions = {version_of(tool) for tool in others}
    assert len(versions | {plain}) == len(others) + 1
    assert version_of(ConsultTool(RuleBook(json.loads(json.dumps([])) or list(rules)), 2)) == plain


def test_only_signed_books_come_into_force_and_no_older_one_after_a_newer(serving: Serve, tmp_path: Path) -> None:
    rules, key = tmp_path / "rules.yaml", tmp_path / "policy.pem"
    rules.write_text(OLD)
    public = make_signing_key(key)
    with pytest.raises(InputError, match="not signed"), serving(answers("Yes."), rules=str(rules), trust=public):
        pass
    sign(rules, load_rules(rules), key)
    older = (rules.read_text(), signature_file(rules).read_text())
    with serving(answers("Yes."), rules=str(rules), trust=public) as served:
        books, first = served.gateway.books, served.gateway.books.pin("default")
        write_text(rules, NEW)
        until(lambda: "no signature of these rules" in books.problem.get("default", ""))
        assert books.pin("default") is first
        sign(rules, load_rules(rules), key)
        until(lambda: not books.problem and books.pin("default") is not first)
        second = books.pin("default")
        write_text(rules, older[0])
        write_text(signature_file(rules), older[1])
        until(lambda: "older than" in books.problem.get("default", ""))
        assert books.pin("default") is second
    with pytest.raises(InputError, match="older than"), serving(answers("Yes."), rules=str(rules), trust=public):
        pass
