"""The gateway in front of a server that others wrote: llama.cpp's, with the embedded model as it was published."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from oracle import Read, read_stream
from scripted import running

from ascl.models.embedded import fetch_gguf
from ascl.serve.app import build_app
from ascl.serve.run import ServeSettings, open_gateway
from ascl.serve.trail.audit import AUDIT, export
from ascl.serve.upstream import HttpUpstream

TOWN = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server."""
    gguf = fetch_gguf(tmp_path_factory.mktemp("gguf"))
    command = [sys.executable, str(Path(__file__).with_name("llama_server.py")), str(gguf)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None and server.stdout is not None
    try:
        address = server.stdout.readline().strip()
        if not address and server.wait(60) == -signal.SIGILL:
            pytest.skip("the wheel of llama.cpp has instructions that this processor lacks")
        assert address.startswith("http://127.0.0.1:"), address
        yield f"{address}/v1"
    finally:
        server.stdin.close()
        assert server.wait(60) in (0, -signal.SIGILL)
        server.stdout.close()


@pytest.fixture(scope="module")
def gateway(llama: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a gateway before it, and its folder."""
    folder = tmp_path_factory.mktemp("gateway")
    opened = open_gateway(ServeSettings("default", 2, folder, "127.0.0.1", 0), ["model"], HttpUpstream(llama))
    with running(build_app(opened)) as url:
        yield url, folder


def ask(url: str, text: str = "Name three colours.", **fields: Any) -> httpx2.Response:
    body = {"model": "model", "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 24}
    return httpx2.post(f"{url}/v1/chat/completions", json=body | fields, timeout=120)


def streamed(url: str, **fields: Any) -> Read:
    return read_stream(ask(url, stream=True, stream_options={"include_usage": True}, **fields).content)


def test_streamed_and_whole_are_one_answer_and_one_record_each(gateway: tuple[str, Path]) -> None:
    url, folder = gateway
    whole = ask(url).json()
    (choice,) = whole["choices"]
    read = streamed(url)
    assert read.texts == {0: choice["message"]["content"]} and read.texts[0].strip()
    assert read.reasons == {0: choice["finish_reason"]}
    assert read.usage is not None
    assert read.usage["completion_tokens"] == whole["usage"]["completion_tokens"] > 0
    assert read.pieces > 1, "it came as it was written"
    kinds = [record["kind"] for record in export(folder / AUDIT)]
    assert kinds == ["begun", "finished"] * 2


def test_what_is_cut_says_so(gateway: tuple[str, Path]) -> None:
    assert streamed(gateway[0], text="Count from 1 to 500.", max_tokens=5).reasons == {0: "length"}


def test_several_choices(gateway: tuple[str, Path]) -> None:
    read = streamed(gateway[0], n=2, temperature=1.0, seed=3)
    assert read.texts.keys() == read.reasons.keys() == {0, 1}
    assert read.texts[0] != read.texts[1]


def weather_in(*towns: str) -> Iterator[dict[str, Any]]:
    """A conversation in which the tool was called for each town, so that even a small model does it again."""
    for n, town in enumerate(towns):
        call = {"name": "weather", "arguments": json.dumps({"town": town})}
        yield {"role": "user", "content": f"How is the weather in {town}?"}
        yield {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": f"c{n}", "type": "function", "function": call}],
        }
        yield {"role": "tool", "tool_call_id": f"c{n}", "content": "Sunny."}
        yield {"role": "assistant", "content": f"It is sunny in {town}."}


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_of_a_clients_own_tool_is_handed_back(gateway: tuple[str, Path], stream: bool) -> None:
    messages = [*weather_in("Rome", "Oslo", "Lima"), {"role": "user", "content": "How is the weather in Paris?"}]
    reply = ask(gateway[0], messages=messages, tools=[TOWN], max_tokens=64, stream=stream)
    if stream:
        read = read_stream(reply.content)
        (call,), reason = read.calls[0], read.reasons[0]
    else:
        (choice,) = reply.json()["choices"]
        (call,), reason = choice["message"]["tool_calls"], choice["finish_reason"]
    assert reason == "tool_calls"
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {"town": "Paris"}


def test_a_form_that_is_forced_is_kept(gateway: tuple[str, Path]) -> None:
    schema = {"type": "object", "properties": {"capital": {"type": "string"}}, "required": ["capital"]}
    form = {"type": "json_schema", "json_schema": {"name": "town", "schema": schema}}
    text = "What is the capital of France? Answer as JSON."
    (choice,) = ask(gateway[0], text, response_format=form, max_tokens=64).json()["choices"]
    assert list(json.loads(choice["message"]["content"])) == ["capital"]


def test_what_the_server_refuses_is_an_error_of_openais_form(gateway: tuple[str, Path]) -> None:
    reply = ask(gateway[0], "word " * 5000)
    assert reply.status_code == 400, reply.text
    assert set(reply.json()) == {"error"}
    assert "word word" not in reply.text
