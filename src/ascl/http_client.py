"""HTTP clients for servers that nobody vouches for: what they read is bounded, and they stay with their server.

Both kinds of client keep to the same. No timeout of theirs is one for a whole request, whose head may drip for ever:
whoever asks puts one around it (`asyncio.timeout`), or does not wait for the thread.

- A reply's body is read up to MAX_BODY bytes after decompression, piece by piece; a longer one is a failure. Of a reply
  with an error status the first MAX_ERROR bytes are kept.
- A body may hold MAX_VALUES values as JSON: as Python's objects they take many times the memory of their text.
- A redirect is followed only to the scheme, host and port that were asked. The request's texts go nowhere else.
- Cookies are not kept. A body is UTF-8, whatever charset the server names: some of Python's codecs decompress.
"""

import asyncio
import math
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2

from ascl.json_values import too_many_values

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")

MAX_BODY = 64 * 2**20  # bytes; a reply of a million tokens has a twelfth of it
MAX_VALUES = 4 * 10**6  # 256 embeddings of 12,000 numbers have three quarters of them
MAX_ERROR = 2**16  # bytes
MAX_REDIRECTS = 5


def run_here(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns: as `asyncio.run`, also where a loop is running in this thread, which waits."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


class BodyTooLong(httpx2.RequestError):
    """A body of more than MAX_BODY bytes, or MAX_VALUES values."""


class OtherServer(httpx2.RequestError):
    """A redirect to another server than the one that was asked."""


class Client(httpx2.Client):
    """A client in this thread; see the module. Reading a body takes no longer than its timeout for one read."""

    def __init__(self, timeout: httpx2.Timeout | float, **options: Any) -> None:
        super().__init__(timeout=timeout, verify=certificates(), cookies=_no_cookies(), **options)

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """See the module. A body is always read: `stream` has no effect."""
        options.pop("follow_redirects", None)
        until = time.monotonic() + (self.timeout.read or math.inf)
        for _ in range(MAX_REDIRECTS + 1):
            response = super().send(request, stream=True, follow_redirects=False, **options)
            body = _Body(response)
            with closing(response):
                for piece in response.iter_bytes():
                    if time.monotonic() > until:  # the library's timeout is one between two bytes
                        raise httpx2.ReadTimeout("the reply does not end", request=request)
                    if not body.takes(piece):
                        break
            if response.next_request is None:
                return body.whole()
            request = _same_server(request, response.next_request)
        raise httpx2.TooManyRedirects("it redirects in a circle", request=request)


class AsyncClient(httpx2.AsyncClient):
    """A client in an event loop; see the module."""

    def __init__(self, timeout: httpx2.Timeout | float, **options: Any) -> None:
        super().__init__(timeout=timeout, verify=certificates(), cookies=_no_cookies(), **options)

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """See the module. A body is always read: `stream` has no effect."""
        options.pop("follow_redirects", None)
        for _ in range(MAX_REDIRECTS + 1):
            response = await super().send(request, stream=True, follow_redirects=False, **options)
            body = _Body(response)
            async with aclosing(response), aclosing(response.aiter_bytes()) as pieces:
                async for piece in pieces:
                    if not body.takes(piece):
                        break
            if response.next_request is None:
                return body.whole()
            request = _same_server(request, response.next_request)
        raise httpx2.TooManyRedirects("it redirects in a circle", request=request)


class _Body:
    """The body of a response as it comes in."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._read = bytearray()

    def takes(self, piece: bytes) -> bool:
        """Add a piece, and say whether another may follow. Raises BodyTooLong."""
        self._read += piece
        if not self._response.is_success:
            return len(self._read) < MAX_ERROR
        if len(self._read) > MAX_BODY:
            request = self._response.request
            raise BodyTooLong(f"the reply is longer than {MAX_BODY // 2**20} MB", request=request)
        return True

    def whole(self) -> httpx2.Response:
        """The response with its body read. Raises BodyTooLong."""
        if self._response.is_success and too_many_values(self._read, MAX_VALUES):
            request = self._response.request
            raise BodyTooLong(f"the reply holds more than {MAX_VALUES:,} values", request=request)
        headers = self._response.headers.copy()
        for about_the_wire in ("content-encoding", "content-length", "transfer-encoding"):
            headers.pop(about_the_wire, None)
        if "content-type" in headers:
            headers["content-type"] = headers["content-type"].partition(";")[0]
        return httpx2.Response(
            self._response.status_code,
            headers=headers,
            content=bytes(self._read if self._response.is_success else self._read[:MAX_ERROR]),
            request=self._response.request,
            extensions=self._response.extensions,
        )


def _same_server(request: httpx2.Request, following: httpx2.Request) -> httpx2.Request:
    asked, now = (
        (url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme))
        for url in (request.url, following.url)
    )
    if asked != now:
        there = following.url.copy_with(userinfo=b"", path="/", query=None, fragment=None)
        raise OtherServer(f"it redirects to {there}; name that address if it is the right one", request=request)
    return following


def _no_cookies() -> CookieJar:
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


@cache
def certificates() -> "ssl.SSLContext":
    """Those that servers are checked against. Loading them takes longer than many a request."""
    return httpx2.create_ssl_context()
