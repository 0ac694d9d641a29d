"""One request for a completion, from its key to the last byte: pinned, recorded, walked, streamed, settled.

Streamed and whole answers are made by the same walk; only what is sent differs.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

from ascl.models.retry import RequestFailed
from ascl.serve.books import CANDIDATE, Books, Pinned
from ascl.serve.guards.guard import GatewayGuard, GuardFailed
from ascl.serve.guards.guarded import guarded
from ascl.serve.keys import Key, Keys
from ascl.serve.log import MESSAGES, place_of
from ascl.serve.loop import Choice, LoopSettings, Piece, Walked
from ascl.serve.metrics import Metrics
from ascl.serve.protocol.asked import Asked
from ascl.serve.protocol.errors import ApiError
from ascl.serve.protocol.responses_wire import ResponsesWire
from ascl.serve.protocol.wire import Wire, total_usage
from ascl.serve.trail.audit import AuditError, AuditStore, Entry
from ascl.serve.trail.contents import content_of
from ascl.serve.trial.trial import Trial, Tried
from ascl.serve.upstream import Upstream

HEARTBEAT, HEARTBEAT_EVERY = b": keep-alive\n\n", 15.0  # after so many seconds without a byte
Send = Callable[[bytes], Awaitable[None]]
Begin = Callable[[dict[str, str]], Awaitable[None]]


@dataclass
class Gateway:
    """What all requests share. models: the names that clients may ask for; the first is the upstream's own.

    trial: of an edited book, where there is one.
    """

    models: list[str]
    upstream: Upstream
    books: Books
    keys: Keys
    audit: AuditStore
    settings: LoopSettings
    keep_queries: bool = False
    keep_days: int = 0  # what is kept of texts and contents, 0 for ever
    metrics: Metrics = field(default_factory=Metrics)
    trial: Trial | None = None
    guard: GatewayGuard | None = None
    draining: bool = False

    def start(self, asked: Asked, key: Key, id: str) -> "Request":
        """A request under the book in force. Raises ApiError."""
        if asked.model not in self.models:
            raise ApiError(404, "there is no model of this name; see /v1/models", "model_not_found", "model")
        if key.book not in self.books.sources or key.book == CANDIDATE:
            raise ApiError(503, "the rule book of this key is not there", "overloaded", wait=60)
        pinned = self.books.pin(key.book)
        reserved = asked.n * (asked.max_tokens or self.settings.answer_tokens)
        self.keys.meter(key).reserve(key, reserved, time.time())
        tried = self.trial.assign(pinned, key.tenant, asked) if self.trial else None
        return Request(self, asked, key, id, tried.pinned if tried else pinned, reserved, tried)


@dataclass
class Request:
    """One request, under one version of a book."""

    gateway: Gateway
    asked: Asked
    key: Key
    id: str
    pinned: Pinned
    reserved: int
    tried: Tried | None = None
    began: float = field(default_factory=time.monotonic)
    choices: list[Choice] = field(default_factory=list)
    ended: bool = False  # how it ended has been handed to the trail, this once
    outcome: str = ""  # how it ended: `finished`, `failed` or `aborted`

    def __post_init__(self) -> None:
        gateway, asked = self.gateway, self.asked
        seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
        self.choices = [
            Choice(asked, gateway.models[0], self.key.form, seed + i, self.pinned, gateway.upstream, gateway.settings)
            for i in range(asked.n)
        ]

    @property
    def walks(self) -> list[Walked]:
        """What the choices have come to."""
        return [choice.walked for choice in self.choices]

    async def whole(self, wire: Wire | ResponsesWire) -> dict[str, Any]:
        """The completion. Raises ApiError; the record is written whatever happens."""
        begun = asyncio.create_task(self._begin())
        try:
            async with aclosing(self._pieces()) as pieces:
                async for _ in pieces:
                    pass
            await begun
            await self._finish("finished", 200)
        except Exception as error:
            await self._give_up(error, begun)
            raise api_error(error) from error
        except asyncio.CancelledError as error:
            await self._give_up(error, begun)
            raise
        return wire.completion(self.walks)

    async def stream(self, wire: Wire | ResponsesWire, begin: Begin, send: Send) -> None:
        """Send the completion as it comes. Raises ApiError where nothing has been sent yet.

        begin: sends the status and the headers, with the first piece or heartbeat.
        """
        sent, shown, last = False, False, time.monotonic()
        begun = asyncio.create_task(self._begin())

        async def out(content: bytes) -> None:
            nonlocal sent, last
            if not sent:
                await asyncio.shield(begun)
                if not sent:
                    sent = True
                    await begin({"x-ascl-rules": self.pinned.version})
            last = time.monotonic()
            await send(content)

        async def beat() -> None:
            with suppress(AuditError):  # whoever sends next raises it
                while True:
                    await asyncio.sleep(last + HEARTBEAT_EVERY - time.monotonic())
                    if time.monotonic() - last >= HEARTBEAT_EVERY:
                        await out(HEARTBEAT)

        beating = asyncio.create_task(beat())
        try:
            try:
                async with aclosing(self._pieces()) as pieces:
                    async for index, piece in pieces:
                        if content := wire.piece(index, piece):
                            await out(content)
                            if not shown:
                                self.gateway.metrics.first_byte.observe(time.monotonic() - self.began)
                                shown = True
            finally:
                beating.cancel()
            await begun
            await self._finish("finished", 200)  # on disk before the last byte leaves
            await out(wire.end(self.walks))
        except Exception as error:
            await self._give_up(error, begun)
            if not sent:
                raise api_error(error) from error
            await send(wire.failure(api_error(error)))
        except asyncio.CancelledError as error:
            await self._give_up(error, begun)
            raise

    async def _pieces(self) -> AsyncGenerator[tuple[int, Piece], None]:
        """The pieces of all choices, which are walked at the same time. Raises what the first that fails raises."""
        if len(self.choices) == 1:
            async with aclosing(self._seen(self.choices[0])) as only:
                async for piece in only:
                    yield 0, piece
            return
        found: asyncio.Queue[tuple[int, Piece] | BaseException | None] = asyncio.Queue(maxsize=64)

        async def walk(index: int, choice: Choice) -> None:
            try:
                async with aclosing(self._seen(choice)) as pieces:
                    async for piece in pieces:
                        await found.put((index, piece))
                await found.put(None)
            except Exception as error:
                await found.put(error)

        walking = [asyncio.create_task(walk(i, choice)) for i, choice in enumerate(self.choices)]
        try:
            left = len(walking)
            while left:
                one = await found.get()
                if isinstance(one, BaseException):
                    raise one
                if one is None:
                    left -= 1
                else:
                    yield one
        finally:
            for task in walking:
                task.cancel()
            await asyncio.gather(*walking, return_exceptions=True)

    def _seen(self, choice: Choice) -> AsyncGenerator[Piece, None]:
        """The pieces of a choice that may be sent."""
        if self.key.guard == "off":
            return choice.pieces()
        return guarded(choice, self.gateway.guard, self.pinned, self.key.guard == "fail_open")

    async def _begin(self) -> None:
        record = {
            "key": self.key.id,
            "model": self.asked.model,
            "stream": self.asked.stream,
            "n": self.asked.n,
            "book": self.pinned.name,
            "rules": self.pinned.version,
            "form": "rag" if self.choices[0].tool is None else "ascl",
            "forged": self.asked.forged,
            "prompt": self.gateway.audit.hashed(self.key.tenant, _last_text(self.asked)),
        }
        if self.tried is not None:
            record |= await self.tried.begin()
        await self.gateway.audit.write(Entry(self.id, "begun", self.key.tenant, record))

    async def _finish(self, kind: str, status: int, error: str | None = None) -> None:
        if self.tried is not None and not self.ended:
            # may be cancelled: nothing has been handed over yet
            await self.tried.look(kind, status, self.asked, self.walks)
        if self.ended:
            return
        self.ended = True
        hashed = self.gateway.audit.hashed
        walks = self.walks
        queries = [one.query for walked in walks for one in walked.trajectory.consultations]
        record: dict[str, Any] = {
            "seconds": round(time.monotonic() - self.began, 4),
            "usage": total_usage(walks),
            "choices": [_choice_record(walked, lambda text: hashed(self.key.tenant, text)) for walked in walks],
        }
        if self.key.guard != "off":
            record["guard"] = self.gateway.guard and self.gateway.guard.name
        if error is not None:
            record["error"] = error
        if self.tried is not None:
            self.tried.note(record)
        texts = tuple(queries) if self.gateway.keep_queries else ()
        content = content_of(self.pinned.version, self.asked, self.choices) if self.key.contents else b""
        used = total_usage(walks)["completion_tokens"]
        self.gateway.keys.meter(self.key).settle(self.reserved, used)
        try:
            await self.gateway.audit.write(Entry(self.id, kind, self.key.tenant, record, texts, content))
        except AuditError as problem:
            kind, status = "failed", api_error(problem).status
            raise
        finally:
            self.outcome = kind
            self.gateway.metrics.ended(kind, status, time.monotonic() - self.began, self.asked.forged, walks)
        if self.gateway.trial is not None and "canary" in record:
            await self.gateway.trial.count(record["canary"])

    async def _give_up(self, error: BaseException, begun: "asyncio.Task[None]") -> None:
        """Write how the request ended, if it can be written at all."""
        if not isinstance(error, RequestFailed | AuditError | asyncio.CancelledError):
            MESSAGES.error(f"request {self.id}: {type(error).__name__} at {place_of(error)}")
        left = isinstance(error, asyncio.CancelledError)
        kind, status = ("aborted", 499) if left else ("failed", api_error(error).status)
        reason = error.kind if isinstance(error, RequestFailed) else type(error).__name__
        reason = f"guard {reason}" if isinstance(error, GuardFailed) else reason
        with suppress(AuditError):
            await asyncio.shield(asyncio.gather(begun, return_exceptions=True))
            await asyncio.shield(self._finish(kind, status, reason))


def api_error(error: BaseException) -> ApiError:
    """What a client is told of a failure; nothing of the upstream's own words."""
    if isinstance(error, AuditError):
        return ApiError(503, "the audit trail can't be written", "overloaded", wait=10)
    if isinstance(error, GuardFailed):
        return ApiError(503, "the guard gave no verdict", "guard_failed", wait=error.wait or 5)
    if isinstance(error, RequestFailed):
        if error.kind in ("http_400", "http_413", "http_422"):
            return ApiError(400, "the model's server refused the request", "invalid_value")
        if error.kind == "http_429":
            return ApiError(429, "the model's server is busy", "rate_limit_exceeded", wait=error.wait or 5)
        if error.kind == "timeout":
            return ApiError(504, "the model's server did not answer in time", "timeout")
        if error.kind in ("unreachable", "http_503"):
            return ApiError(503, "the model's server is not there", "overloaded", wait=error.wait or 5)
    return ApiError(502, "the model's server failed", "upstream_error")


def _last_text(asked: Asked) -> str:
    content = asked.messages[-1]["content"]
    return content if isinstance(content, str) else str(content)


def _choice_record(walked: Walked, hashed: Callable[[str], str]) -> dict[str, Any]:
    trajectory = walked.trajectory
    return {
        "stop": trajectory.stop,
        "finish_reason": walked.finish_reason,
        "consultations": [
            {
                "query": hashed(one.query),
                "top_k": one.top_k,
                "rules": [[hit.id, round(hit.similarity, 4)] for hit in one.hits],
            }
            for one in trajectory.consultations
        ],
        "faults": trajectory.faults,
        "deferred": walked.deferred,
        "limit_reached": walked.limit_reached,
        "calls": len(walked.calls),
        "turns": walked.usage,
        "verdict": walked.verdict,
        "unjudged": walked.unjudged,
    }
