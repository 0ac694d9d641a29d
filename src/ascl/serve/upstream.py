"""A turn from an OpenAI-compatible server, always as a stream: closing the connection is then what cancels it.

Nothing is tried again once a byte of the answer has been read. Headers are made from nothing, redirects are not
followed, and what the server says of an error stays here.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from ascl.models.retry import RequestFailed, failed_status, pause

ATTEMPTS = 2
BACKOFF = 0.25  # seconds before the second attempt
CONNECT, SILENCE, WHOLE = 5.0, 120.0, 900.0  # seconds: to connect, between two reads, for one turn
LONGEST_LINE = 8_000_000  # bytes
_DONE = object()


class Upstream(Protocol):
    """Where turns come from."""

    def turn(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The chunks of a turn, to its very end. Raises RequestFailed."""
        ...

    async def ready(self) -> bool:
        """Whether a turn could be had now."""
        ...

    async def close(self) -> None:
        """Let go of connections or of the model."""
        ...


@dataclass
class HttpUpstream:
    """A server at `url` (which ends in /v1)."""

    url: str
    key: str = "none"
    session: aiohttp.ClientSession | None = None

    def _connections(self) -> aiohttp.ClientSession:
        if self.session is None:
            timeout = aiohttp.ClientTimeout(total=WHOLE, connect=CONNECT, sock_read=SILENCE)
            self.session = aiohttp.ClientSession(
                timeout=timeout,
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"authorization": f"Bearer {self.key}", "content-type": "application/json"},
                read_bufsize=2**18,
            )
        return self.session

    async def turn(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """See `Upstream`."""
        content = json.dumps(body, ensure_ascii=False).encode()
        for attempt in range(1, ATTEMPTS + 1):
            begun = False
            try:
                async with aclosing(self._asked(content)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except RequestFailed as failed:
                if begun or not failed.passing or attempt == ATTEMPTS:
                    raise
                wait = pause(attempt, BACKOFF, failed.wait)
                if wait > 5:
                    raise
            await asyncio.sleep(wait)

    async def _asked(self, content: bytes) -> AsyncGenerator[dict[str, Any], None]:
        try:
            async with self._connections().post(
                f"{self.url}/chat/completions", data=content, allow_redirects=False
            ) as reply:
                if reply.status != 200:
                    raise failed_status(reply.status, f"status {reply.status}", reply.headers)
                if reply.content_type == "application/json":  # it can't stream
                    yield _object(await _limited(reply.content))
                    return
                async with aclosing(_events(reply.content)) as events:
                    async for event in events:
                        yield event
        except (TimeoutError, aiohttp.ServerTimeoutError) as error:
            raise RequestFailed("timeout", "the upstream did not answer in time", passing=True) from error
        except aiohttp.ClientConnectorError as error:
            raise RequestFailed("unreachable", "nobody listens at the upstream's address", passing=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RequestFailed("connection", "the connection to the upstream was lost", passing=True) from error

    async def ready(self) -> bool:
        """See `Upstream`."""
        try:
            timeout = aiohttp.ClientTimeout(total=CONNECT)
            async with self._connections().get(f"{self.url}/models", timeout=timeout, allow_redirects=False) as reply:
                return reply.status < 500
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError):
            return False

    async def close(self) -> None:
        """See `Upstream`."""
        session, self.session = self.session, None
        if session is not None:
            await session.close()


async def _events(stream: aiohttp.StreamReader) -> AsyncGenerator[dict[str, Any], None]:
    """The JSON of each `data:` line up to [DONE]; comments and other fields are passed over."""
    rest = bytearray()
    async for part in stream.iter_any():
        rest += part
        *lines, last = rest.split(b"\n")
        for line in lines:
            event = _event(bytes(line))
            if event is _DONE:
                return
            if isinstance(event, dict):
                yield event
        rest = bytearray(last)
        if len(rest) > LONGEST_LINE:
            raise RequestFailed("too_long", "a line of the upstream's stream is too long", passing=False)
    if isinstance(event := _event(bytes(rest)), dict):
        yield event


def _event(line: bytes) -> object:
    name, _, value = line.strip(b"\r").partition(b":")
    value = value.strip()
    if name != b"data" or not value:
        return None
    return _DONE if value == b"[DONE]" else _object(value)


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RequestFailed("not_a_completion", "the upstream's reply is not JSON", passing=True) from error
    if not isinstance(found, dict):
        raise RequestFailed("not_a_completion", "the upstream's reply is no JSON object", passing=True)
    return found


async def _limited(stream: aiohttp.StreamReader) -> bytes:
    content = bytearray()
    async for part in stream.iter_any():
        content += part
        if len(content) > LONGEST_LINE:
            raise RequestFailed("too_long", "the upstream's reply is too long", passing=False)
    return bytes(content)
