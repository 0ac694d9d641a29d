"""An edited book on live traffic: what is looked up in it, who is answered under it, and when that ends."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from administered import administered
from gateways import Serve, Served
from guarding import Guarding
from prometheus_client.parser import text_string_to_metric_families
from scripted import Chunks, answers, consults, delta

from ascl.errors import InputError
from ascl.files import write_text
from ascl.rules.signature import make_signing_key
from ascl.serve.books import CANDIDATE, Books
from ascl.serve.metrics import Metrics
from ascl.serve.protocol.asked import Asked, read_asked
from ascl.serve.run import ServeSettings
from ascl.serve.trail.audit import AuditStore, export, verify
from ascl.serve.trial.trial import Trial

OLD = "category: tea\ntitle: Tea\nrules:\n- {id: tea.cold, text: Serving cold tea to a guest in the house.}\n"
NEW = "category: tea\ntitle: Hot drinks\nrules:\n- {id: tea.warm, text: Serving warm tea to a guest in the house.}\n"
REFUSAL = "I'm sorry, but I can't help with that."


@pytest.fixture
def books(tmp_path: Path) -> dict[str, str]:
    """Paths of a book in force and of a candidate, as the settings of a gateway."""
    (tmp_path / "old.yaml").write_text(OLD)
    (tmp_path / "new.yaml").write_text(NEW)
    return {"rules": str(tmp_path / "old.yaml"), "candidate": str(tmp_path / "new.yaml")}


class ByBook(list[Chunks]):
    """A script that answers by the book whose topics stand in the system text."""

    def __init__(self, served: Served, old: Chunks, new: Chunks) -> None:
        super().__init__([old])
        self.served, self.old, self.new = served, old, new

    def __getitem__(self, place: Any) -> Any:
        return self.new if "Hot drinks" in self.served.script.bodies[-1]["messages"][0]["content"] else self.old


def ask(served: Served, text: str = "Tea?", **fields: Any) -> httpx2.Response:
    body = {"model": "model", "messages": [{"role": "user", "content": text}], **fields}
    return httpx2.post(f"{served.url}/v1/chat/completions", json=body, timeout=30)


def figures(served: Served) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(httpx2.get(f"{served.url}/metrics").text):
        for sample in family.samples:
            found[f"{sample.name} {' '.join(sample.labels.values())}".strip()] = sample.value
    return found


def state(served: Served) -> Any:
    return httpx2.get(f"{served.url}/readyz").json()["canary"]


def trail(served: Served, kind: str) -> list[dict[str, Any]]:
    return [one for one in export(served.folder / "audit.sqlite") if one["kind"] == kind]


def test_a_shadow_is_recorded_and_changes_nothing(serving: Serve, books: dict[str, str]) -> None:
    with serving(consults("serving tea"), answers("Yes."), **books) as served:
        reply = ask(served, seed=1).json()
        bodies = list(served.script.bodies)
        candidate = served.gateway.books.pin(CANDIDATE).version
        assert state(served) == {"share": 0.0, "stopped": None}
        assert figures(served)["ascl_shadow_lookups_total other"] == 1
    (begun,), (ended,) = trail(served, "begun"), trail(served, "finished")
    (found,) = ended["choices"][0]["consultations"]
    assert (found["rules"][0][0], found["candidate"]) == ("tea.cold", ["tea.warm"])
    assert begun["candidate"] == candidate != begun["rules"]
    assert not {"arm", "canary"} & (begun.keys() | ended.keys())
    with serving(consults("serving tea"), answers("Yes."), rules=books["rules"]) as served:
        assert ask(served, seed=1).json()["choices"] == reply["choices"]
        assert [one["messages"][:2] for one in served.script.bodies] == [one["messages"][:2] for one in bodies]
        assert "canary" not in httpx2.get(f"{served.url}/readyz").json()
    begun, ended = trail(served, "begun")[-1], trail(served, "finished")[-1]
    assert not {"candidate", "arm", "canary"} & (begun.keys() | ended.keys())
    assert "candidate" not in ended["choices"][0]["consultations"][0]


def test_a_request_of_the_candidates_arm_knows_the_candidate_alone(serving: Serve, books: dict[str, str]) -> None:
    with serving(answers("Yes."), canary=0.5, **books) as served:
        versions = {name: served.gateway.books.pin(name).version for name in ("default", CANDIDATE)}
        arms = set[str]()
        for n in range(100):
            if len(arms) == 2:
                break
            served.script.bodies.clear()
            served.script.turns = [consults("serving tea"), answers("Yes.")]
            reply = ask(served, f"Question {n}?")
            begun = trail(served, "begun")[-1]
            under = CANDIDATE if begun["arm"] == "candidate" else "default"
            assert reply.headers["x-ascl-rules"] == begun["rules"] == versions[under]
            (found,) = reply.json()["ascl"]["consultations"]
            assert found["rules"][0]["id"] == {CANDIDATE: "tea.warm", "default": "tea.cold"}[under]
            system = served.script.bodies[-1]["messages"][0]["content"]
            assert ("Hot drinks" in system) == (under == CANDIDATE)
            arms.add(begun["arm"])
        assert arms == {"active", "candidate"}
        assert state(served) == {"share": 0.5, "stopped": None}
        assert figures(served)["ascl_canary_share"] == 0.5


def asked(text: str, *more: str, **fields: Any) -> Asked:
    said = [{"role": "user" if n % 2 == 0 else "assistant", "content": one} for n, one in enumerate((text, *more))]
    return read_asked(json.dumps({"model": "m", "messages": said, **fields}).encode())


def test_the_arm_is_a_conversations_own_and_not_the_clients(books: dict[str, str], tmp_path: Path) -> None:
    held = Books({"default": books["rules"], CANDIDATE: books["candidate"]}, 2)
    held.load()
    active, arms = held.pin("default"), []
    for folder in ("one", "two"):
        store = AuditStore(tmp_path / folder)
        trial = Trial(held, store, Metrics(), 0.2)

        def arm(tenant: str, request: Asked, trial: Trial = trial) -> str:
            tried = trial.assign(active, tenant, request)
            assert tried is not None
            return tried.arm

        first = [arm("t", asked(f"Question {n}?")) for n in range(1000)]
        assert first == [arm("t", asked(f"Question {n}?", "Well.", "And?")) for n in range(1000)]
        assert 130 < first.count("candidate") < 270
        others = [[arm("u", asked(f"Question {n}?")) for n in range(200)]]
        others += [[arm("t", asked(f"Question {n}?", user="u")) for n in range(200)]]
        arms += [first[:200], *others]
        store.close()
    assert len({tuple(one) for one in arms}) == len(arms), "another tenant, user or gateway has other arms"


def test_a_worse_candidate_is_stopped_and_stays_so_until_it_is_edited(serving: Serve, books: dict[str, str]) -> None:
    with serving(answers("Yes."), canary=0.5, **books) as served:
        served.script.turns = ByBook(served, answers("Tea is served in a warm cup."), answers(REFUSAL))
        trial = served.gateway.trial
        assert trial is not None
        count = next(n for n in range(200) if ask(served, f"Question {n}?").is_success and trial.stopped)
        assert count > 8, "one refusal is chance"
        assert state(served) == {"share": 0.0, "stopped": "more refusals"}
        found = figures(served)
        assert found["ascl_canary_share"] == 0
        assert found["ascl_canary_stops_total more refusals"] == 1
        assert found["ascl_arm_events_total candidate refused"] == found["ascl_arm_requests_total candidate"]
        for n in range(3):
            assert ask(served, f"Again {n}?").json()["choices"][0]["message"]["content"] != REFUSAL
    begun, stopped = trail(served, "canary")
    assert (begun["state"], stopped["state"], stopped["test"]) == ("begun", "stopped", "more refusals")
    with serving(answers("Yes."), canary=0.5, **books) as served:
        assert state(served) == {"share": 0.0, "stopped": "more refusals"}
        assert figures(served)["ascl_canary_share"] == 0
        write_text(Path(books["candidate"]), NEW.replace("warm", "tepid"))
        assert any(state(served) == {"share": 0.5, "stopped": None} for _ in range(5000))
    with serving(answers("Yes."), canary=0.5, refusals_may_move=True, **books) as served:
        assert state(served)["share"] == 0.5
    assert verify(served.folder / "audit.sqlite")[1] is None


def test_a_gateway_that_starts_again_goes_on_counting(serving: Serve, books: dict[str, str]) -> None:
    with serving(answers(REFUSAL), canary=0.5, **books) as served:
        for n in range(3):
            assert ask(served, f"Question {n}?").status_code == 200
        before = served.gateway.trial._canary.comparison  # type: ignore[union-attr]
        assert before.counts["refused"][1] == 3
    with serving(answers(REFUSAL), canary=0.5, **books) as served:
        after = served.gateway.trial._canary.comparison  # type: ignore[union-attr]
        assert after.counts == before.counts
        assert ask(served, "Question 0?").status_code == 200
        assert after.counts == before.counts, "it was counted before"
    assert [one["state"] for one in trail(served, "canary")] == ["begun"]


def test_a_book_that_is_edited_and_reverted_goes_on_with_its_canary(serving: Serve, books: dict[str, str]) -> None:
    with serving(answers(REFUSAL), canary=0.5, **books) as served:
        for number, rules in enumerate((NEW, NEW.replace("warm", "tepid"), NEW)):
            write_text(Path(books["candidate"]), rules)
            served.gateway.books.load()
            assert ask(served, f"Question {number}?").status_code == 200
        assert served.gateway.trial._canary.comparison.counts["refused"][1] == 2  # type: ignore[union-attr]
    assert [one["state"] for one in trail(served, "canary")] == ["begun", "begun"]


MALFORMED = [delta(role="assistant", content="<tool_call>{nothing"), delta("stop")]


@pytest.mark.parametrize(
    ("turn", "status", "events"),
    [
        (answers("Tea is served in a warm cup."), 200, []),
        (answers(REFUSAL), 200, ["refused"]),
        (answers(REFUSAL + " " * 2000 + "Or so."), 200, []),
        (MALFORMED, 200, ["fault"]),
        ([delta(role="assistant", content="Y")], 200, ["fault"]),
    ],
)
def test_what_happens_in_an_answer_is_recorded(
    serving: Serve, books: dict[str, str], turn: Chunks, status: int, events: list[str]
) -> None:
    with serving(turn, canary=0.5, **books) as served:
        assert ask(served, stream=True).status_code == status
    (ended,) = [one for one in export(served.folder / "audit.sqlite") if one["kind"] in ("finished", "failed")]
    assert ended["canary"]["events"] == events


@pytest.mark.parametrize(("status", "events"), [(503, []), (429, []), (500, ["fault"]), (400, ["fault"])])
def test_no_book_is_to_blame_for_a_server_that_is_not_there(
    serving: Serve, books: dict[str, str], status: int, events: list[str]
) -> None:
    with serving(answers("Yes."), canary=0.5, **books) as served:
        served.script.status = status
        assert ask(served).status_code >= 400
    (failed,) = trail(served, "failed")
    assert failed["canary"]["events"] == events


def test_an_answer_that_the_guard_withholds_is_an_event_and_a_test(
    serving: Serve, books: dict[str, str], guard: Guarding
) -> None:
    with serving(answers("A bomb of tea."), canary=0.5, guard=guard.settings, **books) as served:
        assert ask(served).json()["choices"][0]["finish_reason"] == "content_filter"
    with serving(answers("A bomb of tea."), canary=0.5, **books) as served:
        assert ask(served).json()["choices"][0]["finish_reason"] == "stop"
    guarded, free = trail(served, "finished")
    assert (guarded["canary"]["events"], free["canary"]["events"]) == (["withheld"], [])
    with_guard, without = (set(one["tests"]) for one in trail(served, "canary"))
    assert with_guard - without == {"more answers withheld"}


def test_a_candidate_that_is_the_book_in_force_is_not_tried(serving: Serve, books: dict[str, str]) -> None:
    with serving(answers("Yes."), canary=0.5, rules=books["rules"], candidate=books["rules"]) as served:
        assert ask(served).status_code == 200
        assert state(served) == {"share": 0.0, "stopped": None}
    assert not {"candidate", "arm"} & trail(served, "begun")[0].keys()


def test_settings_that_can_not_be_are_one_line(serving: Serve, books: dict[str, str], tmp_path: Path) -> None:
    for canary, candidate, told in ((0.1, "", "--candidate"), (0.6, "x", "0 to 0.5"), (float("nan"), "x", "a share")):
        with pytest.raises(InputError, match=told):
            ServeSettings("default", 2, tmp_path, "127.0.0.1", 0, candidate=candidate, canary=canary).check()
    Path(books["candidate"]).write_text("rules: [")
    with pytest.raises(InputError, match=r"new\.yaml"), serving(answers("Yes."), **books):
        pass
    Path(books["candidate"]).write_text(NEW)
    public = make_signing_key(tmp_path / "policy.pem")
    with pytest.raises(InputError, match="not signed"), serving(answers("Yes."), trust=public, **books):
        pass


def test_the_admin_page_says_how_it_stands(serving: Serve, books: dict[str, str]) -> None:
    with administered(serving, answers("Yes."), canary=0.5, **books) as admin:
        assert "answers 50 % of the conversations" in admin.page("/").words
        trial = admin.served.gateway.trial
        assert trial is not None
        trial.stopped[admin.served.gateway.books.pin(CANDIDATE).version] = "more faults"
        assert "its canary was ended: more faults" in admin.page("/").words
