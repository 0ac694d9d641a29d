"""What curl prints, byte for byte: an answer whole, as a stream, and a request that is refused."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from gateways import Serve, Served
from scripted import answers, consults

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

HEADERS = {"content-type", "cache-control", "x-accel-buffering"}


def curl(served: Served, **fields: Any) -> tuple[str, dict[str, str], str]:
    """The status line, the headers that matter and the body, with the id, the time and the book's version named."""
    body = {"model": "model", "messages": [{"role": "user", "content": "Tea?"}], **fields}
    command = ["curl", "-siN", "--noproxy", "*", "--max-time", "60", f"{served.url}/v1/chat/completions"]
    command += ["-H", "content-type: application/json", "-d", json.dumps(body)]
    printed = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    head, _, said = printed.partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-request-id"])
    said = re.sub(r'"id":"chatcmpl-[0-9a-f]{24}"', '"id":ID', said)
    said = re.sub(r'"created":\d+', '"created":TIME', said)
    if version := headers.get("x-ascl-rules"):
        said = said.replace(version, "VERSION")
    return status, {name: value for name, value in headers.items() if name in HEADERS}, said


COMMON = '"id":ID,"object":"chat.completion.chunk","created":TIME,"model":"model"'
USAGE = '{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}'
OURS = f'"ascl":{{"rules":"VERSION","consultations":[],"turns":[{USAGE}]}}'
STREAM = f"""\
data: {{{COMMON},"choices":[{{"index":0,"delta":{{"role":"assistant","content":"Mix "}},"finish_reason":null}}]}}

data: {{{COMMON},"choices":[{{"index":0,"delta":{{"content":"it."}},"finish_reason":null}}]}}

data: {{{COMMON},"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],{OURS}}}

data: {{{COMMON},"choices":[],"usage":{USAGE}}}

data: [DONE]

"""


def test_a_stream(serving: Serve) -> None:
    with serving(answers("Mix ", "it.")) as served:
        status, headers, said = curl(served, stream=True, stream_options={"include_usage": True})
        assert status == "HTTP/1.1 200 OK"
        assert headers == {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache, no-transform",
            "x-accel-buffering": "no",
        }
        assert said == STREAM


def test_a_whole_answer(serving: Serve) -> None:
    with serving(consults("bombs"), answers("Mix ", "it.")) as served:
        status, headers, said = curl(served)
        assert (status, headers) == ("HTTP/1.1 200 OK", {"content-type": "application/json"})
        assert said.startswith('{"id":ID,"object":"chat.completion","created":TIME,"model":"model","choices":[')
        assert json.loads(said.replace("ID", '""', 1).replace("TIME", "0", 1))["choices"] == [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Mix it.",
                    "reasoning": "Look it up.",
                    "reasoning_content": "Look it up.",
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ]


def test_a_request_that_is_refused(serving: Serve) -> None:
    with serving(answers("Mix it.")) as served:
        status, headers, said = curl(served, stream=True, chat_template="x")
        assert (status, headers) == ("HTTP/1.1 400 Bad Request", {"content-type": "application/json"})
        assert said == (
            """{"error":{"message":"unknown field 'chat_template'","type":"invalid_request_error","""
            """"param":"chat_template","code":"invalid_value"}}"""
        )
        assert served.script.bodies == []
