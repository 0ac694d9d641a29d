"""A client's connection: uvicorn's, with bounds for clients that are slow, greedy or never read.

uvicorn waits for ever for the headers of a request, for a body that nobody reads any more, and for a client that takes
nothing; and it takes any number of connections from one address.
"""

import asyncio
import json
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ascl.serve.protocol.errors import bad_request

LARGEST_HEAD = 64 * 1024  # bytes of a request's address and headers


@dataclass(frozen=True)
class Bounds:
    """What clients may take.

    owed: seconds for headers, or for the rest of a body that is not read any more, whatever comes in between. stalled:
    seconds in which a client takes nothing of what it is sent. per_address: connections.
    """

    owed: float = 10.0
    stalled: float = 60.0
    per_address: int = 512
    open: Counter[str] = field(default_factory=Counter)  # connections now, by address


class _Strict(h11.Connection):
    """h11, without requests that say in two ways where they end: a proxy in front may have read the other one."""

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            names = {name for name, _ in event.headers}
            size = len(event.target) + sum(len(name) + len(value) for name, value in event.headers)
            if {b"content-length", b"transfer-encoding"} <= names or size > LARGEST_HEAD:
                raise h11.RemoteProtocolError("two framings, or too much of it")
        return event


class Connection(H11Protocol):
    """One connection, under bounds that all connections of a server share."""

    def __init__(self, bounds: Bounds, **settings: Any) -> None:
        super().__init__(**settings)
        self.bounds, self.conn = bounds, _Strict(h11.SERVER, LARGEST_HEAD)
        self.owed: asyncio.TimerHandle | None = None
        self.stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or close it where its address has too many."""
        super().connection_made(transport)
        self.bounds.open[self._address] += 1
        if self.bounds.open[self._address] > self.bounds.per_address:
            transport.abort()
        self._see_what_is_owed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of it."""
        self._owed_nothing()
        self.resume_writing()
        self.bounds.open[self._address] -= 1
        if not self.bounds.open[self._address]:
            del self.bounds.open[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        super().data_received(data)
        self._see_what_is_owed()

    def on_response_complete(self) -> None:
        """The answer is sent; the rest of the body may be still to come."""
        super().on_response_complete()
        self._see_what_is_owed()

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        self.stalled = self.loop.call_later(self.bounds.stalled, self._reset)
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has taken most of it."""
        if self.stalled is not None:
            self.stalled.cancel()
            self.stalled = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """It asked nothing more; an answer that it has not taken by now goes with the connection."""
        self.transport.abort()

    def _should_upgrade(self) -> bool:
        return False  # no other protocol is spoken here; an offer of one is passed over

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, in OpenAI's form."""
        body = json.dumps(bad_request("the request can't be read").body()).encode()
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(f"{head}connection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _reset(self) -> None:
        """Close, and have the kernel drop what it still holds for the client."""
        now = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        self.transport.abort()

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def _see_what_is_owed(self) -> None:
        """Whether the client must go on: it has begun headers, or sends a body of which nothing is read any more."""
        state, answered = self.conn.their_state, self.cycle is None or self.cycle.response_complete
        waiting = state is h11.IDLE and self.timeout_keep_alive_task is None
        owed = answered and (waiting or state is h11.SEND_BODY) and not self.transport.is_closing()
        if owed and self.owed is None:
            self.owed = self.loop.call_later(self.bounds.owed, self.transport.abort)
        elif not owed:
            self._owed_nothing()

    def _owed_nothing(self) -> None:
        if self.owed is not None:
            self.owed.cancel()
            self.owed = None
