"""What clients see: one answer with one life, whatever went on behind it."""

import asyncio
import json
from typing import Any

import httpx2
import openai
import pytest
from gateways import Serve, Served
from oracle import read_stream
from scripted import answers, call, consults, delta, usage

from ascl.consult.tool import TOOL_NAME
from ascl.serve.trail.audit import export, verify

QUESTION = [{"role": "user", "content": "How do I bake bread?"}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def post(served: Served, **fields: Any) -> httpx2.Response:
    body = {"model": "model", "messages": QUESTION, **fields}
    return httpx2.post(f"{served.url}/v1/chat/completions", json=body, timeout=30)


def both(served: Served, **fields: Any) -> tuple[Any, dict[str, Any]]:
    """The same request streamed and whole; the script begins again between them."""
    streamed = post(served, stream=True, stream_options={"include_usage": True}, **fields)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    read = read_stream(streamed.content)
    served.script.bodies.clear()
    whole = post(served, **fields).json()
    assert whole["choices"][0]["message"]["content"] == (read.texts[0] or (None if read.calls else ""))
    assert whole["choices"][0]["finish_reason"] == read.reasons[0]
    assert whole["usage"] == read.usage
    return read, whole


def test_a_direct_answer(serving: Serve) -> None:
    with serving(answers("Mix ", "flour."), keep_queries=True) as served:
        read, whole = both(served)
        assert read.texts == {0: "Mix flour."}
        assert read.pieces == 2
        assert whole["ascl"]["consultations"] == []
        body = served.script.bodies[0]
        assert body["stream"] is True
        assert body["tools"][0]["function"]["name"] == TOOL_NAME
        assert body["messages"][0]["role"] == "system"
        assert "Topics of the rules" in body["messages"][0]["content"]
        assert body["messages"][1:] == QUESTION


def test_a_consultation_is_hidden_and_its_usage_counted(serving: Serve) -> None:
    with serving(consults("bombs"), answers("No.", thought="They forbid it.")) as served:
        read, whole = both(served)
        assert read.texts == {0: "No."}
        assert read.thoughts == {0: "Look it up.\nThey forbid it."}
        assert read.usage == {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
        assert [one["query"] for one in read.ascl[0]["consultations"]] == ["bombs"]
        assert read.ascl[0]["consultations"][0]["rules"]
        assert whole["ascl"]["rules"] == served.gateway.books.pin("default").version
        _, second = served.script.bodies
        assistant, result = second["messages"][2:]
        assert assistant["tool_calls"][0]["id"] == result["tool_call_id"]
        assert assistant["reasoning"] == assistant["reasoning_content"] == "Look it up."
        assert result["content"].startswith("1. (")


@pytest.mark.parametrize("show", ["nothing", "consultations", "thoughts"])
def test_a_key_decides_what_is_shown(serving: Serve, show: str) -> None:
    from ascl.serve.keys import make_key
    from ascl.serve.run import KEYS

    with serving(consults(), answers("No.", thought="Hm.")) as served:
        key = make_key(served.folder / KEYS, "t", show=show)
        served.gateway.keys.load()
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0)
        reply = client.chat.completions.create(model="model", messages=QUESTION)  # type: ignore[arg-type]
        extra, message = reply.model_extra or {}, reply.choices[0].message.model_extra or {}
        assert ("ascl" in extra) == (show == "consultations")
        assert ("reasoning" in message) == (show == "thoughts")
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=f"{served.url}/v1", api_key=key + "x", max_retries=0).models.list()


def test_a_call_of_the_clients_tool_is_handed_back_and_goes_on(serving: Serve) -> None:
    calls = [delta(role="assistant", tool_calls=[call("weather", {"city": "Bern"}, index=3)]), delta("stop"), usage()]
    with serving(calls, answers("Sunny.")) as served:
        read, whole = both(served, tools=[WEATHER])
        assert read.calls[0][0]["function"]["name"] == "weather"
        given = whole["choices"][0]["message"]
        assert given["tool_calls"][0]["function"]["arguments"] == '{"city": "Bern"}'
        result = {"role": "tool", "tool_call_id": given["tool_calls"][0]["id"], "content": "sun"}
        served.script.bodies.append({})
        reply = post(served, messages=[*QUESTION, given, result], tools=[WEATHER]).json()
        assert reply["choices"][0]["message"]["content"] == "Sunny."


def test_of_a_mixed_turn_ours_is_read_and_theirs_is_asked_for_again(serving: Serve) -> None:
    mixed = [call(TOOL_NAME, {"query": "bombs"}, 0, "a"), call("weather", {}, 1, "b")]
    turn = [delta(role="assistant", tool_calls=mixed), delta("tool_calls"), usage()]
    with serving(turn, answers("Done.")) as served:
        assert post(served, tools=[WEATHER]).json()["choices"][0]["message"]["content"] == "Done."
        assert len(served.script.bodies[1]["messages"]) == 4
        (record,) = [one for one in export(served.folder / "audit.sqlite") if one["kind"] == "finished"]
        assert record["choices"][0]["deferred"] == 1


def test_a_model_that_goes_on_consulting_loses_the_tool(serving: Serve) -> None:
    with serving(consults(), consults(), consults(), answers("So be it.")) as served:
        assert post(served).json()["choices"][0]["message"]["content"] == "So be it."
        offered = [len(body.get("tools", [])) for body in served.script.bodies]
        assert offered == [1, 1, 1, 0]
        record = [*export(served.folder / "audit.sqlite")][-1]
        assert record["choices"][0]["limit_reached"] is True


def test_a_forced_form_gets_the_rules_in_the_system_text(serving: Serve) -> None:
    with serving(answers('{"a": 1}')) as served:
        read, _ = both(served, response_format={"type": "json_object"})
        assert read.texts[0] == '{"a": 1}'
        body = served.script.bodies[0]
        assert "tools" not in body
        assert body["response_format"] == {"type": "json_object"}
        assert "These rules say what you must not do" in body["messages"][0]["content"]


def test_several_choices_are_walked_apart(serving: Serve) -> None:
    with serving(answers("A."), answers("B."), answers("C.")) as served:
        streamed = post(served, n=3, stream=True, stream_options={"include_usage": True}, seed=5)
        read = read_stream(streamed.content)
        assert sorted(read.texts.values()) == ["A.", "B.", "C."]
        assert read.usage is not None
        assert read.usage["completion_tokens"] == 15
        assert sorted(body["seed"] for body in served.script.bodies) == [5, 6, 7]


def test_a_call_that_the_server_left_in_the_text_is_run_and_never_shown(serving: Serve) -> None:
    said = json.dumps({"name": TOOL_NAME, "arguments": {"query": "bombs"}})
    leaked = answers("<tool", "_call>", said, "</tool_call>")
    with serving(leaked, answers("No.")) as served:
        read, _ = both(served)
        assert read.texts == {0: "No."}


@pytest.mark.parametrize("bare", [True, False])
def test_a_call_that_can_not_be_read_is_no_answer(serving: Serve, bare: bool) -> None:
    said = json.dumps({"name": TOOL_NAME, "arguments": {"query": "bombs"}})
    with serving(answers(said if bare else "<tool_call>{oh</tool_call>")) as served:
        read, _ = both(served)
        assert read.texts == {0: ""}
        record = [*export(served.folder / "audit.sqlite")][-1]
        assert record["choices"][0]["stop"] == "malformed"


def test_what_was_said_before_a_consultation_stands_apart(serving: Serve) -> None:
    turn = [delta(role="assistant", content="Let me see."), *consults()[1:]]
    with serving(turn, answers("No.")) as served:
        read, _ = both(served)
        assert read.texts == {0: "Let me see.\n\nNo."}


def test_max_tokens_bounds_the_answer(serving: Serve) -> None:
    with serving(answers(*["word "] * 50)) as served:
        read, _ = both(served, max_tokens=7)
        assert read.texts[0] == ("word " * 7).rstrip() or read.texts[0] == "word " * 7
        assert read.reasons == {0: "length"}


@pytest.mark.parametrize(
    ("turn", "status"),
    [
        ([delta(role="assistant", content=""), b"data: [DONE]\n\n"], 502),
        ([{"error": {"message": "SECRET"}, "choices": []}], 502),
        ([b"data: {oh\n\n"], 502),
    ],
)
def test_an_upstream_that_fails_before_its_first_word_is_a_status(serving: Serve, turn: Any, status: int) -> None:
    with serving(turn) as served:
        for stream in (True, False):
            reply = post(served, stream=stream)
            assert reply.status_code == status
            assert reply.json()["error"]["code"] == "upstream_error"
            assert "SECRET" not in reply.text
        kinds = [one["kind"] for one in export(served.folder / "audit.sqlite")]
        assert kinds == ["begun", "failed"] * 2


def test_an_upstream_that_fails_later_is_an_error_in_the_stream(serving: Serve) -> None:
    with serving([delta(role="assistant", content="Mix "), {"error": {"message": "SECRET"}}]) as served:
        read = read_stream(post(served, stream=True).content)
        assert read.error is not None
        assert read.error["code"] == "upstream_error"
        assert read.reasons == {}


@pytest.mark.parametrize(("status", "told"), [(400, 400), (401, 502), (404, 502), (429, 429), (500, 502), (503, 503)])
def test_the_upstreams_status_is_translated(serving: Serve, status: int, told: int) -> None:
    with serving(answers("Hi")) as served:
        served.script.status = status
        reply = post(served)
        assert reply.status_code == told
        assert "SECRET" not in reply.text
        assert ("retry-after" in reply.headers) == (told in (429, 503))


def test_a_client_that_leaves_stops_the_upstream(serving: Serve) -> None:
    with serving([delta(role="assistant", content="Mix "), *([delta(content="on "), 0.05] * 600)]) as served:

        async def leave() -> None:
            async with httpx2.AsyncClient() as client:
                body = {"model": "model", "messages": QUESTION, "stream": True}
                async with client.stream("POST", f"{served.url}/v1/chat/completions", json=body) as reply:
                    async for _ in reply.aiter_bytes():
                        break

        asyncio.run(leave())
        assert served.script.closed.wait(10)
        for _ in range(200):
            kinds = [one["kind"] for one in export(served.folder / "audit.sqlite")]
            if "aborted" in kinds:
                break
            asyncio.run(asyncio.sleep(0.02))
        assert kinds == ["begun", "aborted"]
        assert verify(served.folder / "audit.sqlite") == (2, None)


def test_openais_own_client_reads_everything(serving: Serve) -> None:
    with serving(consults(), answers("Bread ", "is nice.")) as served:
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)
        assert [model.id for model in client.models.list()] == ["model"]
        with client.chat.completions.stream(model="model", messages=QUESTION) as stream:  # type: ignore[arg-type]
            final = stream.get_final_completion()
        assert final.choices[0].message.content == "Bread is nice."
        assert final.choices[0].message.role == "assistant"
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="other", messages=QUESTION)  # type: ignore[arg-type]


def test_openais_asynchronous_client(serving: Serve) -> None:
    async def ask(url: str) -> list[str]:
        client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
        stream = await client.chat.completions.create(model="model", messages=QUESTION, stream=True)  # type: ignore[call-overload]
        return [chunk.choices[0].delta.content async for chunk in stream if chunk.choices[0].delta.content]

    with serving(answers("Bread ", "is nice.")) as served:
        assert asyncio.run(ask(f"{served.url}/v1")) == ["Bread ", "is nice."]


def test_rules_can_be_searched(serving: Serve) -> None:
    with serving(answers("Hi")) as served:
        reply = httpx2.post(f"{served.url}/v1/rules/search", json={"query": "build a bomb", "top_k": 2}).json()
        assert [one["rank"] for one in reply["data"]] == [1, 2]
        bad = httpx2.post(f"{served.url}/v1/rules/search", json={"query": 5})
        assert bad.status_code == 400


def test_health_and_readiness(serving: Serve) -> None:
    with serving(answers("Hi")) as served:
        assert httpx2.get(f"{served.url}/healthz").json() == {"status": "ok"}
        assert httpx2.get(f"{served.url}/readyz").status_code == 200
        served.gateway.draining = True
        assert httpx2.get(f"{served.url}/readyz").status_code == 503
        assert post(served).status_code == 503


def test_unknown_addresses_and_methods_are_json_errors(serving: Serve) -> None:
    with serving(answers("Hi")) as served:
        for reply in (httpx2.get(f"{served.url}/v1/nothing"), httpx2.get(f"{served.url}/v1/chat/completions")):
            assert reply.status_code in (404, 405)
            assert reply.json()["error"]["message"]
            assert reply.headers["x-request-id"]
