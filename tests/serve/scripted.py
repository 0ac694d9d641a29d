"""A scripted upstream: each request gets the next turn of a script, as the chunks of a stream, at a real address."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ascl.consult.tool import TOOL_NAME
from ascl.serve.connection import Bounds
from ascl.serve.run import server_config

Chunks = list[dict[str, Any] | bytes | float]  # bytes go out as they are; a number is waited for


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": "up-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "up",
        "choices": [{"index": 0, "delta": fields, "finish_reason": finish}],
    }


def usage(prompt: int = 10, completion: int = 5) -> dict[str, Any]:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"id": "up-1", "choices": [], "usage": counts}


def call(name: str, arguments: dict[str, Any], index: int = 0, id: str = "c1") -> dict[str, Any]:
    return {
        "index": index,
        "id": id,
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


def answers(*pieces: str, thought: str = "", finish: str = "stop") -> Chunks:
    """A turn that answers, in pieces."""
    begin = [delta(role="assistant", content="")]
    thoughts = [delta(reasoning=thought)] if thought else []
    return [*begin, *thoughts, *(delta(content=piece) for piece in pieces), delta(finish), usage()]


def consults(query: str = "weapons", thought: str = "Look it up.") -> Chunks:
    """A turn that looks something up."""
    asked = call(TOOL_NAME, {"query": query})
    return [delta(role="assistant", reasoning=thought), delta(tool_calls=[asked]), delta("tool_calls"), usage()]


@dataclass
class Scripted:
    """The script and what was asked. When it is at its end, its last turn is repeated."""

    turns: list[Chunks]
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    status: int = 200
    url: str = ""

    async def complete(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        self.bodies.append(json.loads(await request.body()))
        if self.status != 200:
            return JSONResponse({"error": {"message": "SECRET upstream words"}}, self.status)
        turn = self.turns[min(len(self.bodies), len(self.turns)) - 1]
        return StreamingResponse(self._sent(turn), media_type="text/event-stream")

    async def _sent(self, turn: Chunks) -> AsyncIterator[bytes]:
        try:
            for chunk in turn:
                if isinstance(chunk, float):
                    await asyncio.sleep(chunk)
                else:
                    yield chunk if isinstance(chunk, bytes) else f"data: {json.dumps(chunk)}\n\n".encode()
            if not isinstance(turn[-1], bytes):
                yield b"data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.closed.set()
            raise


@contextmanager
def running(app: Any, bounds: Bounds | None = None) -> Iterator[str]:
    """An ASGI application at an address of its own; gives the address. bounds: of its connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(server_config(app, "127.0.0.1", port, bounds))
    ready = threading.Event()
    start = server.startup

    async def startup(sockets: Any = None) -> None:
        await start(sockets=sockets)
        ready.set()

    server.startup = startup  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(20)


@contextmanager
def scripted(*turns: Chunks) -> Iterator[Scripted]:
    """A scripted upstream that runs."""
    script = Scripted(list(turns))

    async def models(_: Request) -> Response:
        return JSONResponse({"data": [{"id": "up"}]})

    routes = [Route("/v1/chat/completions", script.complete, methods=["POST"]), Route("/v1/models", models)]
    with running(Starlette(routes=routes)) as url:
        script.url = f"{url}/v1"
        yield script


Serve = Callable[..., Any]
