"""Start a gateway: everything it needs is checked first, and it stops when the requests under way have ended."""

import asyncio
import gc
import socket
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import uvicorn

from ascl.errors import InputError
from ascl.judges.settings import JudgeSettings
from ascl.serve.admin.session import ADMIN, Sessions, read_password
from ascl.serve.app import build_app
from ascl.serve.books import CANDIDATE, Books, Pinned
from ascl.serve.connection import Bounds, Connection
from ascl.serve.gateway import Gateway
from ascl.serve.guards.guard import GatewayGuard, open_guard
from ascl.serve.keys import ANYBODY, Keys
from ascl.serve.log import MESSAGES, LogFormat, start_logging
from ascl.serve.loop import LoopSettings
from ascl.serve.metrics import Metrics
from ascl.serve.traces import start_tracing
from ascl.serve.trail.audit import AuditStore
from ascl.serve.trial.canary import OF_A_GUARD, OF_REFUSALS, TESTS
from ascl.serve.trial.trial import Trial
from ascl.serve.upstream import Upstream
from ascl.servers import check_listening

KEYS = "keys.jsonl"
SERIALS = "serials.json"  # of signed rule books
MOST_CANARY = 0.5
SECONDS_TO_END = 10  # for what is cut when the time of a drain is over, and for connections to close
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ServeSettings:
    """How a gateway is started. folder: keys and the audit trail. strict: an answer is sent when its turn is whole.

    trust: the public key whose holder must have signed the rule book. admin_port: 0 for no admin page. candidate: an
    edited book that is tried beside `rules` (empty: none). canary: the share of conversations that is answered under
    it. refusals_may_move: more or fewer refusals than now do not end that. guard: the judge of answers, and of texts
    for moderation. keep_days: after which kept queries and contents are deleted, 0 for never. drain:
    seconds for requests under way after a signal.
    """

    rules: str
    top_k: int
    folder: Path
    host: str
    port: int
    strict: bool = False
    keep_queries: bool = False
    trust: Path | None = None
    admin_host: str = "127.0.0.1"
    admin_port: int = 0
    candidate: str = ""
    canary: float = 0.0
    refusals_may_move: bool = False
    guard: JudgeSettings | None = None
    keep_days: int = 0
    log_format: LogFormat = "text"
    drain: int = 600

    def check(self) -> None:
        """Raise InputError where the gateway could not listen, or anybody at all could ask or administer it."""
        if not 0 <= self.canary <= MOST_CANARY:
            raise InputError(
                f"--canary {self.canary:g}: a share of the conversations is expected, 0 to {MOST_CANARY:g}"
            )
        if self.canary and not self.candidate:
            raise InputError("--canary: name the edited rule book (--candidate)")
        check_listening(self.host, self.port)
        if self.admin_port:
            if (self.admin_host, self.admin_port) == (self.host, self.port):
                raise InputError(f"--admin-port {self.admin_port}: the gateway itself listens there; choose another")
            check_listening(self.admin_host, self.admin_port)
            read_password(self.folder / ADMIN)
        if self.host not in LOOPBACK and not (self.folder / KEYS).exists():
            raise InputError(
                f"--host {self.host}: others can reach it, and {self.folder / KEYS} is not there;"
                f" make a key first (ascl serve key TENANT --folder {self.folder})"
            )


def open_keys(settings: ServeSettings) -> Keys:
    """The keys there are. Raises InputError where one asks for what the settings do not have."""
    keys = Keys(settings.folder / KEYS, ANYBODY.model_copy(update={"guard": "on" if settings.guard else "off"}))
    if unknown := keys.books - {"default"}:
        raise InputError(f"{keys.path}: there is no rule book {sorted(unknown)[0]}")
    if settings.guard is None and any(key.guard != "off" for key in keys.all):
        raise InputError(f"{keys.path}: a key has a guard; name one (ascl serve --guard)")
    return keys


def unguarded(keys: Keys, settings: ServeSettings) -> str:
    """A line on the keys that have no guard, where there is one; empty where there is nothing to say."""
    off = [key.id for key in keys.all if key.guard == "off"] if settings.guard else []
    return f"{keys.path}: nothing judges the answers to {', '.join(off)} (guard: off)" if off else ""


def open_gateway(settings: ServeSettings, models: list[str], upstream: Upstream) -> Gateway:
    """The gateway with its books, keys and audit trail open. Raises InputError."""
    start_logging(settings.log_format)
    keys, metrics = open_keys(settings), Metrics()
    if told := unguarded(keys, settings):
        MESSAGES.warning(told)

    def changed(pinned: Pinned) -> None:
        metrics.versions.inc()
        MESSAGES.info(f"rule book {pinned.name}: version {pinned.version}, {len(pinned.tool.book.rules)} rules")

    books = Books(
        {"default": settings.rules} | ({CANDIDATE: settings.candidate} if settings.candidate else {}),
        settings.top_k,
        trust=settings.trust,
        serials=settings.folder / SERIALS,
        changed=changed,
    )
    books.load()
    guard = None if settings.guard is None else open_guard(settings.guard, books.pin("default").tool.book)
    audit = AuditStore(settings.folder, metrics.commits.observe)
    left_out = (OF_REFUSALS if settings.refusals_may_move else ()) + (() if guard else OF_A_GUARD)
    tests = [test for test in TESTS if test not in left_out]
    return Gateway(
        models=models,
        upstream=upstream,
        books=books,
        keys=keys,
        audit=audit,
        settings=LoopSettings(strict=settings.strict),
        keep_queries=settings.keep_queries,
        keep_days=settings.keep_days,
        metrics=metrics,
        trial=Trial(books, audit, metrics, settings.canary, tests) if settings.candidate else None,
        guard=guard,
    )


def serve_forever(gateway: Gateway, settings: ServeSettings) -> None:
    """Serve until a signal; requests under way then have `drain` seconds to end, and the trail is written last."""
    for line in asyncio.run(_not_ready(gateway)):
        MESSAGES.warning(line)
    end_tracing = start_tracing()
    app, seconds = build_app(gateway), SECONDS_TO_END
    config = server_config(app, settings.host, settings.port, proxy_headers=False, timeout_graceful_shutdown=seconds)
    beside = [_admin(gateway, settings)] if settings.admin_port else []
    gc.freeze()  # what is loaded by now stays: it need not be looked through again and again
    try:
        _Server(config, gateway, beside, settings.drain).run()
    finally:
        end_tracing()


def server_config(app: Any, host: str, port: int, bounds: Bounds | None = None, **settings: Any) -> uvicorn.Config:
    """How uvicorn serves an application here: over bounded connections."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=cast(Any, partial(Connection, bounds or Bounds())),
        server_header=False,
        access_log=False,
        log_config=None,  # its lines go the way of all others
        log_level="warning",
        timeout_keep_alive=75,
        **settings,
    )


def _admin(gateway: Gateway, settings: ServeSettings) -> uvicorn.Server:
    from ascl.serve.admin.app import build_admin  # needs jinja2

    sessions = Sessions(read_password(settings.folder / ADMIN))
    MESSAGES.info(f"admin page at http://{settings.admin_host}:{settings.admin_port}/")
    return _Beside(
        server_config(
            build_admin(gateway, sessions),
            settings.admin_host,
            settings.admin_port,
            lifespan="off",
            timeout_graceful_shutdown=5,
        )
    )


class _Server(uvicorn.Server):
    """uvicorn's server, which goes on listening while requests under way end: whoever asks is told that it stops.

    beside: servers that stop as it does. drain: seconds from the first signal on. A second signal ends them.
    """

    def __init__(self, config: uvicorn.Config, gateway: Gateway, beside: list[uvicorn.Server], drain: int) -> None:
        super().__init__(config)
        self.gateway, self.beside, self.drain = gateway, beside, drain
        self.until = float("inf")

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.gather(super().serve(sockets), *(server.serve() for server in self.beside))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        who = "anybody on this machine" if self.gateway.keys.open else "holders of a key"
        at = f"http://{self.config.host}:{self.config.port}/v1"
        MESSAGES.info(f"listening at {at} for {who}; model {', '.join(self.gateway.models)}")

    def handle_exit(self, sig: int, frame: Any) -> None:
        if self.gateway.draining:
            self.drain = 0
        self.gateway.draining = True

    async def on_tick(self, counter: int) -> bool:
        if self.gateway.draining:
            if self.until == float("inf"):
                self.until = time.monotonic() + self.drain
                MESSAGES.info(f"stopping: {len(self.server_state.tasks)} requests have {self.drain} s to end")
            over = self.drain == 0 or time.monotonic() >= self.until
            self.should_exit = over or not self.server_state.tasks
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.beside:
            server.should_exit = True
        if left := set(self.server_state.tasks):
            MESSAGES.warning(f"{len(left)} requests were cut off")
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=SECONDS_TO_END)  # how each ended is in the trail then
        await super().shutdown(sockets)


class _Beside(uvicorn.Server):
    """A server beside another in one event loop: signals are the other's alone."""

    def capture_signals(self) -> Any:
        return nullcontext()


async def _not_ready(gateway: Gateway) -> list[str]:
    """What is not there yet, a line each."""
    parts: list[tuple[str, Upstream | GatewayGuard]] = [("model", gateway.upstream)]
    if gateway.guard is not None:
        parts.append(("guard", gateway.guard))
    lines = []
    for name, part in parts:
        if not await part.ready():
            lines.append(f"the {name}'s server does not answer yet; requests get status 503 until it does")
        await part.close()
    return lines
