"""Whatever the model does, a client that streams gets what one that waits gets, at both endpoints."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from gateways import Served, serve_in
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import read_stream
from responses_oracle import read_response_stream
from scripted import Chunks, call, delta, usage

from ascl.consult.tool import TOOL_NAME

CLIENT = httpx2.Client(timeout=30)
PARAMETERS = {"type": "object", "properties": {}}
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
FLAT_TOOL = {"type": "function", "name": "weather", "parameters": PARAMETERS}

# Half a character, markers that are cut in two, thoughts and calls in the text, blanks.
pieces = st.sampled_from(
    [
        "Mix ",
        "flour.",
        "\n",
        " ",
        "",
        "é",
        "\ud83d",
        "\ude00",
        "<",
        "{",
        "a<b",
        "<think>",
        "</think>",
        "<tool_",
        "call>",
    ]
)
texts, thoughts = st.lists(pieces, max_size=5), st.lists(pieces, max_size=3)
endings = st.sampled_from(["stop", "length", "tool_calls"])


@st.composite
def turns(draw: st.DrawFn, calls: list[str]) -> Chunks:
    """A turn that thinks, speaks and calls tools of these names."""
    chunks: Chunks = [delta(role="assistant", content="")]
    chunks += [delta(reasoning=piece) for piece in draw(thoughts)]
    chunks += [delta(content=piece) for piece in draw(texts)]
    said = [
        call(name, {"query": "bombs"} if name == TOOL_NAME else {"city": "Bern"}, number, f"c{number}")
        for number, name in enumerate(calls)
    ]
    chunks += [delta(tool_calls=[one]) for one in said]
    return [*chunks, delta(draw(endings)), usage()]


consulting = st.sampled_from([[TOOL_NAME], [TOOL_NAME, TOOL_NAME], [TOOL_NAME, "weather"]]).flatmap(turns)
ending = st.sampled_from([[], [], ["weather"], ["weather", "weather"]]).flatmap(turns)
scripts = st.builds(lambda hidden, last: [*hidden, last], st.lists(consulting, max_size=4), ending)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_in(tmp_path_factory.mktemp("gateway"), [delta("stop")]) as running:
        yield running


def ask(served: Served, script: list[Chunks], path: str, **fields: Any) -> httpx2.Response:
    served.script.turns[:] = script
    served.script.bodies.clear()
    return CLIENT.post(f"{served.url}/v1/{path}", json={"model": "model", **fields})


def without_ids(value: Any) -> Any:
    """The value with its ids and times made equal: they are new in each reply."""
    if isinstance(value, list):
        return [without_ids(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = ("id", "call_id", "created_at")
    return {
        name: "" if name in made and isinstance(one, str | int) else without_ids(one) for name, one in value.items()
    }


@settings(max_examples=50, deadline=None)
@given(scripts)
def test_a_chat_completion(served: Served, script: list[Chunks]) -> None:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "How?"}], "tools": [CHAT_TOOL]}
    streamed = ask(served, script, "chat/completions", stream=True, stream_options={"include_usage": True}, **asked)
    whole = ask(served, script, "chat/completions", **asked)
    assert (streamed.status_code, whole.status_code) == (200, 200)
    read, (choice,) = read_stream(streamed.content), whole.json()["choices"]
    message = choice["message"]
    assert read.texts[0] == (message["content"] or "")
    assert read.thoughts.get(0, "") == message.get("reasoning", "")
    assert read.reasons[0] == choice["finish_reason"]
    assert read.usage == whole.json()["usage"]
    assert read.ascl[0] == whole.json()["ascl"]
    calls = [{name: one[name] for name in ("id", "type", "function")} for one in read.calls.get(0, [])]
    assert without_ids(calls) == without_ids(message.get("tool_calls", []))


@settings(max_examples=50, deadline=None)
@given(scripts)
def test_a_response(served: Served, script: list[Chunks]) -> None:
    asked: dict[str, Any] = {"input": "How?", "tools": [FLAT_TOOL]}
    streamed = ask(served, script, "responses", stream=True, **asked)
    whole = ask(served, script, "responses", **asked)
    assert (streamed.status_code, whole.status_code) == (200, 200)
    assert without_ids(read_response_stream(streamed.content)) == without_ids(whole.json())


@settings(max_examples=30, deadline=None)
@given(scripts)
def test_both_endpoints_say_the_same(served: Served, script: list[Chunks]) -> None:
    messages = [{"role": "user", "content": "How?"}]
    chat = ask(served, script, "chat/completions", messages=messages, tools=[CHAT_TOOL]).json()
    response = ask(served, script, "responses", input="How?", tools=[FLAT_TOOL]).json()
    message, output = chat["choices"][0]["message"], response["output"]
    said = "".join(part["text"] for item in output if item["type"] == "message" for part in item["content"])
    thought = "".join(part["text"] for item in output if item["type"] == "reasoning" for part in item["summary"])
    assert "".join(said.split()) == "".join((message["content"] or "").split())
    assert "".join(thought.split()) == "".join(message.get("reasoning", "").split())
    called = [json.loads(item["arguments"]) for item in output if item["type"] == "function_call"]
    assert called == [json.loads(one["function"]["arguments"]) for one in message.get("tool_calls", [])]
    looked_up = [json.loads(item["arguments"])["query"] for item in output if item["type"] == "mcp_call"]
    assert looked_up == [one["query"] for one in chat["ascl"]["consultations"]]
    assert response["usage"]["total_tokens"] == chat["usage"]["total_tokens"]
