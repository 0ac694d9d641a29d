"""The routes of the gateway (Starlette). Errors have OpenAI's form, whatever went wrong and wherever."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ascl.errors import InputError
from ascl.serve.gateway import Gateway, api_error
from ascl.serve.keys import Key
from ascl.serve.log import App, Logged, Receive, Scope, Send
from ascl.serve.protocol.asked import Asked, read_asked
from ascl.serve.protocol.errors import ApiError, bad_request
from ascl.serve.protocol.moderations import moderated
from ascl.serve.protocol.responses import read_response
from ascl.serve.protocol.responses_wire import ResponsesWire
from ascl.serve.protocol.wire import Wire
from ascl.serve.trail.erasure import keep_for
from ascl.serve.trial.feedback import read_feedback, take

LONGEST_BODY = 20 * 2**20  # bytes
BODY_TIME = 60.0  # seconds for a body to arrive
_STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}


def build_app(gateway: Gateway) -> App:
    """The application. Its life cycle watches the rule books and the keys, and closes the store at the end."""

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        watching = [asyncio.create_task(gateway.books.watch()), asyncio.create_task(_watch_keys(gateway))]
        if gateway.keep_days:
            watching.append(asyncio.create_task(keep_for(gateway.audit.path, gateway.keep_days)))
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            await gateway.upstream.close()
            if gateway.guard is not None:
                await gateway.guard.close()
            gateway.audit.close()

    handlers: dict[Any, Any] = {HTTPException: _http_error, ApiError: _api_error, Exception: _any_error}
    routes = [
        Route("/v1/chat/completions", _Endpoint(gateway, _chat, Wire), methods=["POST"]),
        Route("/v1/responses", _Endpoint(gateway, _response, ResponsesWire), methods=["POST"]),
        Route("/v1/models", _models(gateway), methods=["GET"]),
        Route("/v1/moderations", _moderations(gateway), methods=["POST"]),
        Route("/v1/rules/search", _search(gateway), methods=["POST"]),
        Route("/v1/feedback", _feedback(gateway), methods=["POST"]),
        Route(METRICS, _metrics(gateway), methods=["GET"]),
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/readyz", _readyz(gateway), methods=["GET"]),
    ]
    return Logged(Starlette(routes=routes, exception_handlers=handlers, lifespan=life))


def _chat(content: bytes, key: Key) -> Asked:
    return read_asked(content, frozenset(key.fields), key.shows_thoughts)


def _response(content: bytes, key: Key) -> Asked:
    return read_response(content, frozenset(key.fields))


class _Endpoint:
    """An endpoint that streams: plain ASGI, so that a client that leaves is noticed at once.

    read: the request in a body. wire: the form of the reply.
    """

    def __init__(
        self,
        gateway: Gateway,
        read: Callable[[bytes, Key], Asked],
        wire: Callable[[Key, Asked, str], Wire | ResponsesWire],
    ) -> None:
        self.gateway, self.read, self.wire = gateway, read, wire

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        id = str(uuid.uuid4())
        request = HttpRequest(scope, receive)
        try:
            key = _key(self.gateway, request)
            asked = self.read(await _body(request), key)
            started = scope["ascl.request"] = self.gateway.start(asked, key, id)
        except ApiError as error:
            self.gateway.metrics.requests.labels("refused", error.status).inc()
            await _reply(error, id)(scope, receive, send)
            return
        except ClientDisconnect:
            return

        wire, begun = self.wire(key, asked, started.pinned.version), False

        async def begin(headers: dict[str, str]) -> None:
            nonlocal begun
            begun = True
            told = {**_STREAM_HEADERS, **headers, "x-request-id": id}
            raw = [(name.encode(), value.encode()) for name, value in told.items()]
            await send({"type": "http.response.start", "status": 200, "headers": raw})

        async def part(body: bytes) -> None:
            await send({"type": "http.response.body", "body": body, "more_body": True})

        async def answer() -> None:
            try:
                if asked.stream:
                    await started.stream(wire, begin, part)
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                else:
                    reply = JSONResponse(await started.whole(wire))
                    reply.headers.update({"x-request-id": id, "x-ascl-rules": started.pinned.version})
                    await reply(scope, receive, send)
            except ApiError as error:
                await _reply(error, id)(scope, receive, send)

        answering, leaving = asyncio.create_task(answer()), asyncio.create_task(_gone(receive))
        leaving.add_done_callback(lambda _: answering.cancel())
        try:
            with self.gateway.metrics.under_way.track_inprogress():
                await answering
        except asyncio.CancelledError:
            if leaving.done() or started.outcome == "finished":
                return
            stopped = ApiError(503, "the gateway was stopped", "overloaded", wait=5)  # the time of its drain is over
            if begun:
                await send({"type": "http.response.body", "body": wire.failure(stopped), "more_body": False})
            else:
                await _reply(stopped, id)(scope, receive, send)
        finally:
            leaving.cancel()


METRICS = "/metrics"


def _key(gateway: Gateway, request: HttpRequest) -> Key:
    """The key of a request, which is left in its scope for the log. Raises ApiError."""
    key = request.scope["ascl.key"] = gateway.keys.find(request.headers.get("authorization"))
    if gateway.draining and request.url.path != METRICS:
        raise ApiError(503, "the gateway is about to stop", "overloaded", wait=5)
    return key


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(request: HttpRequest) -> bytes:
    """The body, bounded in size and time. Raises ApiError."""
    if request.headers.get("content-type", "application/json").partition(";")[0].strip() != "application/json":
        raise ApiError(415, "the body must be application/json")
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_TIME):
            async for part in request.stream():
                content += part
                if len(content) > LONGEST_BODY:
                    raise ApiError(413, f"the body is larger than {LONGEST_BODY} bytes")
    except TimeoutError as error:
        raise ApiError(408, "the body did not arrive in time") from error
    return bytes(content)


def _models(gateway: Gateway) -> Callable[[HttpRequest], Awaitable[Response]]:
    async def models(request: HttpRequest) -> Response:
        _key(gateway, request)
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "ascl"} for name in gateway.models]
        return JSONResponse({"object": "list", "data": listed})

    return models


class _Search(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    query: str = Field(min_length=1, max_length=20_000)
    top_k: int = Field(default=3, ge=1, le=20)


def _search(gateway: Gateway) -> Callable[[HttpRequest], Awaitable[Response]]:
    async def search(request: HttpRequest) -> Response:
        key = _key(gateway, request)
        try:
            asked = _Search.model_validate(json.loads(await _body(request)))
        except (ValueError, RecursionError, ValidationError) as error:
            raise bad_request("an object with query (a text) and top_k (1 to 20) is expected") from error
        pinned = gateway.books.pin(key.book)
        hits = pinned.tool.hits(pinned.tool.book.search(asked.query, asked.top_k))
        found = [{"rank": n, **hit.model_dump()} for n, hit in enumerate(hits, start=1)]
        return JSONResponse({"rules": pinned.version, "data": found})

    return search


def _feedback(gateway: Gateway) -> Callable[[HttpRequest], Awaitable[Response]]:
    async def feedback(request: HttpRequest) -> Response:
        key = _key(gateway, request)
        return JSONResponse(await take(gateway, key, read_feedback(await _body(request))))

    return feedback


def _moderations(gateway: Gateway) -> Callable[[HttpRequest], Awaitable[Response]]:
    async def moderations(request: HttpRequest) -> Response:
        key = _key(gateway, request)
        return JSONResponse(await moderated(gateway, key, await _body(request)))

    return moderations


def _metrics(gateway: Gateway) -> Callable[[HttpRequest], Awaitable[Response]]:
    async def metrics(request: HttpRequest) -> Response:
        if not _key(gateway, request).metrics:
            raise ApiError(403, "this key may not read the figures of all requests")
        return Response(gateway.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return metrics


async def _healthz(_: HttpRequest) -> Response:
    return JSONResponse({"status": "ok"})


def _readyz(gateway: Gateway) -> Callable[[HttpRequest], Awaitable[Response]]:
    async def ready(_: HttpRequest) -> Response:
        there = not gateway.draining and await gateway.upstream.ready()
        versions = {name: gateway.books.pin(name).version for name in gateway.books.sources}
        state: dict[str, Any] = {
            "status": "ready" if there else "not ready",
            "rules": versions,
            "problems": len(gateway.books.problem),
        }
        if gateway.trial is not None:
            state["canary"] = gateway.trial.state
        return JSONResponse(state, status_code=200 if there else 503)

    return ready


async def _watch_keys(gateway: Gateway) -> None:
    while True:
        await asyncio.sleep(1.0)
        with suppress(InputError, OSError):  # the last good ones stay
            await asyncio.to_thread(gateway.keys.load)


def _reply(error: ApiError, id: str) -> Response:
    return JSONResponse(error.body(), error.status, headers=error.headers() | {"x-request-id": id})


async def _api_error(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _reply(error, str(uuid.uuid4()))


async def _http_error(_: HttpRequest, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    told = {404: "there is nothing at this address", 405: "this address does not take this method"}
    return _reply(ApiError(status, told.get(status, "the request can't be read")), str(uuid.uuid4()))


async def _any_error(_: HttpRequest, error: Exception) -> Response:
    return _reply(api_error(error), str(uuid.uuid4()))
