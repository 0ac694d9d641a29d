"""However a request ends, its end is recorded once: also where the client leaves after the last record was written."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateways import Serve
from scripted import answers, delta

from ascl.serve.keys import ANYBODY, make_key
from ascl.serve.protocol.asked import Asked
from ascl.serve.protocol.wire import Wire
from ascl.serve.run import KEYS
from ascl.serve.trail.audit import AUDIT, export


class Broken:
    """An upstream with a fault of its own."""

    async def turn(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        yield delta(role="assistant", content="Mix ")
        raise LookupError("SECRET words")

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("stream", [True, False])
def test_an_exception_nobody_thought_of_ends_the_request_as_any_failure(serving: Serve, stream: bool) -> None:
    with serving(answers("Hi")) as served:
        secret = make_key(served.folder / KEYS, "t", tokens_per_day=5000)
        served.gateway.keys.load()
        served.gateway.upstream = Broken()
        body = {"model": "model", "stream": stream, "messages": [{"role": "user", "content": "Hi"}]}
        headers = {"authorization": f"Bearer {secret}"}
        for _ in range(2):  # what was reserved for the first is given back
            reply = httpx2.post(f"{served.url}/v1/chat/completions", json=body, headers=headers)
            assert reply.status_code == (200 if stream else 502)
            assert "SECRET" not in reply.text and "upstream_error" in reply.text
        *_, record = export(served.folder / AUDIT)
        assert (record["kind"], record["id"]) == ("failed", reply.headers["x-request-id"])
        assert record["error"] == "LookupError"


@pytest.mark.parametrize("leaves_at", ["the end", "the first piece"])
def test_a_client_that_leaves_at(serving: Serve, leaves_at: str) -> None:
    with serving(answers("Mix ", "flour.")) as served:
        asked = Asked("model", "", [{"role": "user", "content": "Hi"}], [], {}, stream=True)
        request = served.gateway.start(asked, ANYBODY, "r1")

        async def begin(_: dict[str, str]) -> None:
            return

        async def send(content: bytes) -> None:
            if leaves_at == "the first piece" or b"[DONE]" in content:
                raise asyncio.CancelledError

        async def ask() -> None:
            await request.stream(Wire(ANYBODY, asked, "v"), begin, send)

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(ask())
        served.gateway.upstream.session = None  # of the loop that has ended
        kinds = [one["kind"] for one in export(Path(served.folder / AUDIT))]
        assert kinds == ["begun", "finished" if leaves_at == "the end" else "aborted"]
        assert served.gateway.keys.meter(ANYBODY).tokens >= 0
