"""However a request ends, its end is recorded once: also where the client leaves after the last record was written."""

import asyncio
from pathlib import Path

import pytest
from gateways import Serve
from scripted import answers

from ascl.serve.keys import ANYBODY
from ascl.serve.protocol.asked import Asked
from ascl.serve.protocol.wire import Wire
from ascl.serve.trail.audit import AUDIT, export


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
