"""Clients that are slow, greedy, never read or write strange HTTP: over raw sockets."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from gateways import Served, serve_in
from scripted import answers, delta

from ascl.serve import app
from ascl.serve.connection import LARGEST_HEAD, Bounds
from ascl.serve.trail.audit import export

BODY = b'{"model": "model", "messages": [{"role": "user", "content": "Hi"}]}'
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
WHOLE = POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
SOON = Bounds(owed=0.3)


@contextmanager
def connected(url: str, buffer: int = 0) -> Iterator[socket.socket]:
    """A connection. buffer: for what comes, in bytes."""
    parts = urlsplit(url)
    with socket.socket() as made:
        if buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        made.settimeout(20)
        made.connect((parts.hostname, parts.port))
        yield made


def told(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    content = b""
    with suppress(ConnectionResetError, BrokenPipeError):
        while part := connection.recv(65536):
            content += part
    return content


def dripped(connection: socket.socket) -> bytes:
    """What comes while a byte is sent every 20 ms, until the other side closes."""
    content = b""
    connection.settimeout(0.02)
    with suppress(ConnectionResetError, BrokenPipeError):
        for _ in range(1000):
            connection.send(b"x")
            with suppress(TimeoutError):
                if not (part := connection.recv(65536)):
                    return content
                content += part
        raise AssertionError("it is open after 20 seconds")
    return content


def ask(served: Served) -> int:
    headers = {"content-type": "application/json"}
    return httpx2.post(f"{served.url}/v1/chat/completions", content=BODY, headers=headers, timeout=60).status_code


@pytest.mark.parametrize("begun", [b"POST / HTTP/1.1\r\nX: ", POST])
def test_headers_that_drip_are_cut(tmp_path: Path, begun: bytes) -> None:
    with serve_in(tmp_path, answers("Hi"), bounds=SOON) as served, connected(served.url) as client:
        client.sendall(begun)
        assert dripped(client) == b""


def test_so_is_a_connection_that_asks_nothing(tmp_path: Path) -> None:
    with serve_in(tmp_path, answers("Hi"), bounds=SOON) as served, connected(served.url) as client:
        assert told(client) == b""


def test_so_are_the_headers_of_a_second_request(tmp_path: Path) -> None:
    with serve_in(tmp_path, answers("Hi"), bounds=SOON) as served, connected(served.url) as client:
        client.sendall(WHOLE)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(POST)
        dripped(client)


def test_an_answer_takes_longer_than_headers_may(tmp_path: Path) -> None:
    slow = [0.5, *answers("Hi")]
    with serve_in(tmp_path, slow, bounds=SOON) as served, connected(served.url) as client:
        client.sendall(WHOLE + POST)  # the next request is begun, and waits
        client.settimeout(20)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_hundred_of_them_keep_nobody_from_an_answer(tmp_path: Path) -> None:
    with serve_in(tmp_path, answers("Hi")) as served, ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connected(served.url)).sendall(POST)
        assert ask(served) == 200


def test_one_address_has_so_many_connections(tmp_path: Path) -> None:
    with serve_in(tmp_path, answers("Hi"), bounds=Bounds(per_address=2)) as served:
        with connected(served.url) as first, connected(served.url) as second:
            for client in (first, second):
                client.sendall(WHOLE)
                assert client.recv(65536).startswith(b"HTTP/1.1 200")
            with connected(served.url) as third:
                assert told(third) == b""
        assert any(_answers(served) for _ in range(500))  # once the gateway knows that they have left


def _answers(served: Served) -> bool:
    try:
        return ask(served) == 200
    except httpx2.TransportError:
        return False


STRANGE = {
    "two framings": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + WHOLE,
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + WHOLE,
    "a length that is none": b"Content-Length: +5\r\n\r\nhello" + WHOLE,
    "a blank before the colon": b"Content-Length : 5\r\n\r\nhello" + WHOLE,
    "a large header": b"X: " + b"a" * LARGEST_HEAD + b"\r\n\r\n" + WHOLE,
    "a NUL": b"X: a\0b\r\n\r\n" + WHOLE,
    "an unknown framing": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + WHOLE,
    "chunked is not last": b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + WHOLE,
    "a chunk of no size": b"Transfer-Encoding: chunked\r\n\r\nz\r\n\r\n" + WHOLE,
    "a header without an end": b"X: " + b"a" * 8 * LARGEST_HEAD,
}


@pytest.mark.parametrize("strange", STRANGE)
def test_what_two_readers_could_read_differently_is_refused(tmp_path: Path, strange: str) -> None:
    with serve_in(tmp_path, answers("Hi")) as served, connected(served.url) as client:
        with suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(POST + STRANGE[strange])
        reply = told(client)
        assert reply == b"" or reply.startswith(b"HTTP/1.1 400 ")
        assert reply.count(b"HTTP/1.1") <= 1
        assert served.script.bodies == []
        assert ask(served) == 200


def test_an_offer_of_another_protocol_is_passed_over(tmp_path: Path) -> None:
    offer = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAABk"}
    with serve_in(tmp_path, answers("Hi")) as served:
        client = HTTPConnection(served.url.removeprefix("http://"))
        for more in (offer, {}, offer):  # all over one connection
            client.request("POST", "/v1/chat/completions", BODY, {"content-type": "application/json", **more})
            reply = client.getresponse()
            assert reply.status == 200
            assert b"Hi" in reply.read()
        client.close()


def test_a_body_has_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "LONGEST_BODY", len(BODY))
    with serve_in(tmp_path, answers("Hi")) as served:
        assert ask(served) == 200
        for body in (BODY + b" ", BODY + b" " * 2**20):
            with connected(served.url) as client:
                client.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
            with connected(served.url) as client:
                client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
                assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_drips_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "BODY_TIME", 0.3)
    with serve_in(tmp_path, answers("Hi"), bounds=SOON) as served, connected(served.url) as client:
        client.sendall(POST + b"Content-Length: 100000\r\n\r\n")
        assert dripped(client).startswith(b"HTTP/1.1 408 ")
        assert served.script.bodies == []


def test_a_client_that_takes_nothing_is_left(tmp_path: Path) -> None:
    flood = [delta(role="assistant", content="")] + [delta(content="bread " * 2_000)] * 650  # 8 MB are the most
    with serve_in(tmp_path, flood, bounds=Bounds(stalled=0.3)) as served, connected(served.url, 4096) as client:
        body = BODY.replace(b'"model",', b'"model", "stream": true,')
        client.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        cut = select.poll()
        cut.register(client, select.POLLHUP)
        assert cut.poll(20_000)  # it reads nothing, and learns it nevertheless
    assert [one["kind"] for one in export(tmp_path / "audit.sqlite")] == ["begun", "aborted"]
