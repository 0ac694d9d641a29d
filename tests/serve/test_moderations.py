"""`/v1/moderations`: OpenAI's form over the guard, bounded, for holders of a key, and an error where there is none."""

from typing import Any

import httpx2
import openai
import pytest
from gateways import Serve, Served
from guarding import Guarding
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import ModerationCreateResponse
from scripted import answers

from ascl.serve.guards.guard import Found
from ascl.serve.keys import make_key
from ascl.serve.protocol.moderations import LONGEST_TEXT, MOST_TEXTS, _result
from ascl.serve.run import KEYS
from ascl.serve.trail.audit import AUDIT, export

CLIENT = httpx2.Client(timeout=30)


def ask(served: Served, key: str = "none", **body: Any) -> httpx2.Response:
    return CLIENT.post(f"{served.url}/v1/moderations", json=body, headers={"authorization": f"Bearer {key}"})


def test_each_text_is_judged_alone_and_in_its_place(guarded: Served, guard: Guarding) -> None:
    client = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="none", max_retries=0)
    reply = client.moderations.create(model="omni-moderation-latest", input=["Tea.", "A bomb.", "Bread."])
    assert [one.flagged for one in reply.results] == [False, True, False]
    assert reply.model == "qwen3guard guard"
    assert reply.results[1].categories.model_dump()["Violent"] is True
    assert reply.results[0].categories.violence is False
    assert sorted(conversation[0]["content"] for conversation in guard.conversations) == ["A bomb.", "Bread.", "Tea."]
    assert all([turn["role"] for turn in conversation] == ["user"] for conversation in guard.conversations)
    assert not list(export(guarded.folder / AUDIT)), "no answer, no record"


def test_a_text_need_not_be_in_a_list(guarded: Served) -> None:
    reply = ask(guarded, input="A bomb.")
    (result,) = ModerationCreateResponse.model_validate(reply.json(), strict=True).results
    assert result.flagged
    assert reply.headers["content-type"] == "application/json"


@settings(deadline=None)
@given(st.booleans(), st.text(st.sampled_from("ab, ."), max_size=20))
def test_a_text_is_flagged_where_a_category_is_true(unsafe: bool, broken: str) -> None:
    result = _result(Found(unsafe, broken))
    assert result["flagged"] == any(result["categories"].values()) == unsafe
    assert {name for name, score in result["category_scores"].items() if score} == {
        name for name, true in result["categories"].items() if true
    }
    assert result["categories"].keys() == result["category_applied_input_types"].keys()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": None},
        {"input": ""},
        {"input": []},
        {"input": ["Tea.", ""]},
        {"input": ["Tea.", 5]},
        {"input": [{"type": "text", "text": "Tea."}]},
        {"input": ["Tea."] * (MOST_TEXTS + 1)},
        {"input": "a" * (LONGEST_TEXT + 1)},
        {"input": "Tea.", "guard": "offline"},
        {"input": "Tea.", "base_url": "http://169.254.169.254/"},
        {"input": "Tea.", "model": 5},
    ],
)
def test_what_is_no_request_is_refused_by_its_field(guarded: Served, guard: Guarding, body: dict[str, Any]) -> None:
    reply = ask(guarded, **body)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"].partition(".")[0] in ("input", "guard", "base_url", "model")
    assert not guard.conversations


@pytest.mark.parametrize("broken", [{"status": 500}, {"reply": "Perhaps."}])
def test_without_a_verdict_on_one_text_there_is_no_reply(
    guarded: Served, guard: Guarding, broken: dict[str, Any]
) -> None:
    vars(guard).update(broken)
    reply = ask(guarded, input=["Tea.", "A bomb."])
    assert reply.status_code == 503
    assert reply.json()["error"]["code"] == "guard_failed"
    assert "SECRET" not in reply.text
    assert "flagged" not in reply.text


def test_keys_and_their_limits_hold(serving: Serve, guard: Guarding) -> None:
    guard.status, guard.reply = 200, None
    with serving(answers("Hi"), guard=guard.settings) as served:
        key = make_key(served.folder / KEYS, "t", requests_per_minute=2)
        served.gateway.keys.load()
        assert ask(served, input="Tea.").status_code == 401
        assert [ask(served, key, input="Tea.").status_code for _ in range(3)] == [200, 200, 429]


def test_without_a_guard_there_is_none(serving: Serve) -> None:
    with serving(answers("Hi")) as served:
        reply = ask(served, input="Tea.")
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "guard_not_found")
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)
        with pytest.raises(openai.NotFoundError):
            client.moderations.create(input="Tea.")
