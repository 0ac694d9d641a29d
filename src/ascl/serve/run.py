"""Start a gateway: everything it needs is checked first, and it stops when the requests under way have ended."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from ascl.errors import InputError
from ascl.progress import tell
from ascl.serve.app import build_app
from ascl.serve.audit import AuditStore
from ascl.serve.books import Books, Pinned
from ascl.serve.gateway import Gateway
from ascl.serve.keys import Keys
from ascl.serve.loop import LoopSettings
from ascl.serve.upstream import Upstream
from ascl.servers import check_listening

KEYS = "keys.jsonl"
SERIALS = "serials.json"  # of signed rule books
DRAIN = 600  # seconds for requests under way
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ServeSettings:
    """How a gateway is started. folder: keys and the audit trail. strict: an answer is sent when its turn is whole.

    trust: the public key whose holder must have signed the rule book.
    """

    rules: str
    top_k: int
    folder: Path
    host: str
    port: int
    strict: bool = False
    keep_queries: bool = False
    trust: Path | None = None

    def check(self) -> None:
        """Raise InputError where the gateway could not listen, or anybody at all could ask it."""
        check_listening(self.host, self.port)
        if self.host not in LOOPBACK and not (self.folder / KEYS).exists():
            raise InputError(
                f"--host {self.host}: others can reach it, and {self.folder / KEYS} is not there;"
                f" make a key first (ascl serve key TENANT --folder {self.folder})"
            )


def open_gateway(settings: ServeSettings, models: list[str], upstream: Upstream) -> Gateway:
    """The gateway with its books, keys and audit trail open. Raises InputError."""
    keys = Keys(settings.folder / KEYS)
    books = Books(
        {"default": settings.rules},
        settings.top_k,
        trust=settings.trust,
        serials=settings.folder / SERIALS,
        changed=_say,
    )
    books.load()
    if unknown := keys.books - {"default"}:
        raise InputError(f"{keys.path}: there is no rule book {sorted(unknown)[0]}")
    return Gateway(
        models=models,
        upstream=upstream,
        books=books,
        keys=keys,
        audit=AuditStore(settings.folder),
        settings=LoopSettings(strict=settings.strict),
        keep_queries=settings.keep_queries,
    )


def serve_forever(gateway: Gateway, settings: ServeSettings, check_only: bool = False) -> None:
    """Serve until a signal; new requests are then refused, and those under way have ten minutes to end."""
    if not asyncio.run(_ready(gateway)):
        tell("the model's server does not answer yet; requests get status 503 until it does")
    if check_only:
        gateway.audit.close()
        tell("all that is needed is there")
        return
    config = uvicorn.Config(
        build_app(gateway),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN,
        h11_max_incomplete_event_size=64 * 1024,
    )
    who = "anybody on this machine" if gateway.keys.open else "holders of a key"
    tell(f"listening at http://{settings.host}:{settings.port}/v1 for {who}; model {', '.join(gateway.models)}")
    with suppress(KeyboardInterrupt):  # raised again by the server, after the last request
        _Server(config, gateway).run()


class _Server(uvicorn.Server):
    """uvicorn's server; from the first signal on the gateway is not ready."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self.gateway = gateway

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.gateway.draining = True
        super().handle_exit(sig, frame)


async def _ready(gateway: Gateway) -> bool:
    try:
        return await gateway.upstream.ready()
    finally:
        await gateway.upstream.close()


def _say(pinned: Pinned) -> None:
    tell(f"rule book {pinned.name}: version {pinned.version}, {len(pinned.tool.book.rules)} rules")
