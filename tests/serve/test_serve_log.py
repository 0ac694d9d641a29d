"""The lines of a gateway's log: one for each request, and nothing that a client or a model said."""

import json
import logging
import re
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
from processes import QUESTION, Process, folder_with_key, process
from scripted import answers, consults, delta, scripted

from ascl.serve.log import JsonLines

SECRET = "a-very-private-question"
FIELDS = {"time", "level", "message", "request", "key", "tenant", "route", "status", "seconds"}
OF_COMPLETIONS = {"outcome", "rules", "turns"}


def raw(gateway: Process, content: bytes) -> None:
    """Send bytes and wait until the gateway closes."""
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) as connection:
        connection.sendall(content)
        while connection.recv(65536):
            pass


def leave(gateway: Process, content: bytes, key: str, asked: Callable[[], bool]) -> None:
    """Ask, and leave before there is an answer."""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) as connection:
        connection.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        while not asked():
            threading.Event().wait(0.01)


def post(gateway: Process, path: str, content: bytes, key: str, **headers: str) -> int:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"} | headers
    return httpx2.post(f"{gateway.url}{path}", content=content, headers=headers, timeout=60).status_code


def test_every_request_is_a_line_without_words_of_anybody(tmp_path: Path) -> None:
    key = folder_with_key(tmp_path)
    asked = {"messages": [{"role": "user", "content": SECRET}]}
    body = json.dumps(QUESTION | asked).encode()
    left = [delta(role="assistant", content=""), 60.0]
    mid = [delta(content=f"{SECRET} said"), b"data: {" + SECRET.encode() + b"\n\n"]
    bad = [b"data: " + SECRET.encode() + b"\n\n"]
    with (
        scripted(
            consults(SECRET, SECRET), answers(SECRET), answers(SECRET, thought=SECRET), *[mid, bad, bad], left
        ) as script,
        process("--model", "model", "--folder", str(tmp_path), "--upstream", script.url) as gateway,
    ):
        first = gateway.ask(key, **asked)
        assert first.status_code == 200
        assert gateway.ask(key, **asked, stream=True).status_code == 200
        assert gateway.ask(key, **asked, stream=True).status_code == 200  # and an error in it
        assert gateway.ask(key, **asked).status_code == 502
        leave(gateway, body, key, lambda: len(script.bodies) == 7)
        gateway.wait_for('"message": "request"', 5)
        script.status = 400
        assert post(gateway, "/v1/responses", json.dumps({"model": "model", "input": SECRET}).encode(), key) == 400
        assert gateway.ask(f"{key}{SECRET}", **asked).status_code == 401
        assert gateway.ask(key, **asked, **{SECRET: 1}).status_code == 400
        assert gateway.ask(key, **asked, model=SECRET).status_code == 404
        for path, content in ((f"/v1/{SECRET}?{SECRET}", body), ("/v1/chat/completions", body[:-2])):
            assert post(gateway, path, content, key, **{SECRET: SECRET}) in (400, 404)
        search = json.dumps({"query": SECRET}).encode()
        assert post(gateway, "/v1/rules/search", search, key) == 200
        assert httpx2.get(f"{gateway.url}/healthz").status_code == 200
        raw(gateway, f"GET /{SECRET} HTTP/9.9\r\n{SECRET}\r\n\r\n".encode())
        gateway.wait_for('"message": "request"', 12)
        assert gateway.stop() == 0
        lines, said = gateway.requests, "".join(gateway.said)
    assert SECRET not in said and key not in said and key.split("-", 3)[3] not in said
    assert len(lines) == 12
    assert all(set(line) >= FIELDS for line in lines)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    assert lines[0] == lines[0] | {
        "request": first.headers["x-request-id"],
        "key": key.split("-")[2],
        "tenant": "tenant-x",
        "route": "/v1/chat/completions",
        "status": 200,
        "outcome": "finished",
        "rules": first.headers["x-ascl-rules"],
        "turns": 2,
    }
    told = [(line["status"], line.get("outcome"), line["route"] and line["route"].rpartition("/")[2]) for line in lines]
    assert told == [
        (200, "finished", "completions"),
        (200, "finished", "completions"),
        (200, "failed", "completions"),
        (502, "failed", "completions"),
        (499, "aborted", "completions"),
        (400, "failed", "responses"),
        (401, None, "completions"),
        (400, None, "completions"),
        (404, None, "completions"),
        (404, None, None),
        (400, None, "completions"),
        (200, None, "search"),
    ]
    assert lines[6]["key"] is None, "a key that is none"
    assert all(line["key"] == lines[0]["key"] for line in lines[7:9])


def test_an_exception_is_told_without_its_words() -> None:
    def formatted(message: str, **extra: Any) -> dict[str, Any]:
        record = logging.LogRecord("x", logging.ERROR, "", 0, message, (), sys.exc_info())
        return dict(json.loads(JsonLines().format(record)))

    try:
        raise KeyError(SECRET)
    except KeyError:
        line = formatted(f"It failed\nlocals: {SECRET}")
    assert SECRET not in json.dumps(line)
    assert (line["message"], line["error"], line["level"]) == ("It failed", "KeyError", "error")
    assert line["at"][0].startswith("test_serve_log.py:")
