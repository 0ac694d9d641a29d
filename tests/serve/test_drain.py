"""What happens after a SIGTERM: /readyz says no, requests under way end, and the trail is whole."""

import json
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from processes import QUESTION, Process, process
from scripted import Scripted, answers, delta, running
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ascl.serve.trail.audit import AUDIT, export, verify


class Waiting(Scripted):
    """A script, each turn of which stops after its first chunk until `go` is set."""

    go: threading.Event

    async def _sent(self, turn: Any) -> AsyncIterator[bytes]:
        import asyncio

        yield f"data: {json.dumps(turn[0])}\n\n".encode()
        while not self.go.is_set():
            await asyncio.sleep(0.01)
        async for sent in super()._sent(turn[1:]):
            yield sent


@contextmanager
def waiting() -> Iterator[Waiting]:
    script = Waiting([[delta(role="assistant", content="Boil "), *answers("water.")[1:]]])
    script.go = threading.Event()

    async def models(_: Request) -> Response:
        return JSONResponse({"data": [{"id": "model"}]})

    with running(
        Starlette(
            routes=[Route("/v1/chat/completions", script.complete, methods=["POST"]), Route("/v1/models", models)]
        )
    ) as url:
        script.url = f"{url}/v1"
        yield script
        script.go.set()


class Asking(threading.Thread):
    """A client that waits for its answer; `begun` is set with the first byte of a stream."""

    def __init__(self, gateway: Process, stream: bool) -> None:
        super().__init__(daemon=True)
        self.gateway, self.stream, self.begun = gateway, stream, threading.Event()
        self.status, self.text = 0, ""
        self.start()

    def run(self) -> None:
        body = QUESTION | {"stream": self.stream}
        with httpx2.stream("POST", f"{self.gateway.url}/v1/chat/completions", json=body, timeout=60) as reply:
            for piece in reply.iter_text():
                self.text += piece
                self.begun.set()
            self.status = reply.status_code


def kinds(folder: Path) -> list[str]:
    assert verify(folder / AUDIT)[1] is None
    return [record["kind"] for record in export(folder / AUDIT)]


def test_requests_under_way_end_and_new_ones_are_refused(tmp_path: Path) -> None:
    arguments = ("--model", "model", "--folder", str(tmp_path))
    with waiting() as script, process(*arguments, "--upstream", script.url) as gateway:
        assert httpx2.get(f"{gateway.url}/readyz").status_code == 200
        asking = [Asking(gateway, stream=True), Asking(gateway, stream=False)]
        assert asking[0].begun.wait(30)
        while len(script.bodies) < 2:
            threading.Event().wait(0.01)
        gateway.child.send_signal(signal.SIGTERM)
        gateway.wait_for("stopping")
        assert httpx2.get(f"{gateway.url}/readyz").status_code == 503
        assert httpx2.get(f"{gateway.url}/healthz").status_code == 200
        refused = gateway.ask()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert gateway.child.poll() is None
        script.go.set()
        for one in asking:
            one.join(30)
        assert [one.status for one in asking] == [200, 200]
        assert asking[0].text.endswith("data: [DONE]\n\n")
        assert json.loads(asking[1].text)["choices"][0]["message"]["content"] == "Boil water."
        assert gateway.child.wait(30) == 0
        assert kinds(tmp_path) == ["begun", "begun", "finished", "finished"]


@pytest.mark.parametrize("again", [False, True], ids=["the time is over", "a second signal"])
def test_what_takes_too_long_is_cut_and_recorded(tmp_path: Path, again: bool) -> None:
    arguments = ("--model", "model", "--folder", str(tmp_path), "--drain", "600" if again else "1")
    with waiting() as script, process(*arguments, "--upstream", script.url) as gateway:
        asking = [Asking(gateway, stream=True), Asking(gateway, stream=False)]
        assert asking[0].begun.wait(30)
        while len(script.bodies) < 2:
            threading.Event().wait(0.01)
        gateway.child.send_signal(signal.SIGTERM)
        if again:
            gateway.wait_for("stopping")
            gateway.child.send_signal(signal.SIGTERM)
        for one in asking:
            one.join(30)
        assert [one.status for one in asking] == [200, 503]
        last = asking[0].text.strip().splitlines()[-3]
        assert json.loads(last.removeprefix("data: "))["error"]["message"] == "the gateway was stopped"
        assert json.loads(asking[1].text)["error"]["code"] == "overloaded"
        assert gateway.child.wait(30) == 0
        gateway.wait_for("2 requests were cut off")
        assert kinds(tmp_path) == ["begun", "begun", "aborted", "aborted"]
        assert [line["outcome"] for line in gateway.requests] == ["aborted", "aborted"]
