"""A server that answers as no server should: `URL/TRAIT/v1` has the trait, for completions, embeddings and models.

After `evil` replies it is a sound server, so that whoever waits for one is let go.
"""

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from typing import Any

BLOCK = b" " * 2**16
DIGITS = "9" * 4000


@dataclass
class Evil:
    """One reply. body: its pieces, as they are sent; a length is told where `length` is given."""

    body: Iterator[bytes] | list[bytes] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


def completion(**changed: Any) -> dict[str, Any]:
    """A sound chat completion, but for what is changed."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "safe"}}
    embedding = {"object": "embedding", "index": 0, "embedding": [1.0, 2.0]}
    return {"choices": [choice], "usage": {"completion_tokens": 3}, "data": [embedding, {"id": "m"}]} | changed


def said(message: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A chat completion with this message."""
    return completion(choices=[{"index": 0, "finish_reason": "stop", "message": message} | changed])


def sent(value: Any, status: int = 200, **headers: str) -> Evil:
    """A reply of JSON, or of the text given."""
    body = (value if isinstance(value, str) else json.dumps(value)).encode(errors="surrogatepass")
    return Evil([body], status, {name.replace("_", "-"): told for name, told in headers.items()}, len(body))


def bomb(pack: Callable[[bytes], bytes], encoding: str, status: int = 200) -> Evil:
    """A small body that is a large one once it is unpacked."""
    body = pack(b" " * 2**22)
    return Evil([body], status, {"Content-Encoding": encoding}, len(body))


def moved(status: int, to: str) -> Evil:
    """A redirect; PORT in it is the server's own port."""
    return Evil([], status, {"Location": to}, 0)


def busy(retry_after: str) -> Evil:
    """A 429 that asks for a wait."""
    return sent({"error": {"message": "busy"}}, 429, Retry_After=retry_after)


def nested(depth: int, opened: str = "[", closed: str = "]") -> str:
    """Lists in lists."""
    return opened * depth + closed * depth


def called(count: int, arguments: str = '{"query": "tea"}') -> list[dict[str, Any]]:
    """Tool calls of a message."""
    function = {"name": "safety-policy-retrieve_policy", "arguments": arguments}
    return [{"id": "x", "type": "function", "function": function}] * count


TRAITS: dict[str, Callable[[], Evil]] = {
    # bodies without an end
    "big": lambda: Evil(repeat(BLOCK), length=2**40),
    "endless": lambda: Evil(repeat(BLOCK)),
    "endless_zeros": lambda: Evil(repeat(b"0" * 2**16)),
    "gzip_bomb": lambda: bomb(gzip.compress, "gzip"),
    "deflate_bomb": lambda: bomb(zlib.compress, "deflate"),
    "twice_packed_bomb": lambda: bomb(lambda body: gzip.compress(gzip.compress(body)), "gzip, gzip"),
    "charset_bomb": lambda: Evil([zlib.compress(b" " * 2**22)], 400, {"Content-Type": "application/json; charset=zip"}),
    "error_endless": lambda: Evil(repeat(BLOCK), 500),
    "refusal_endless": lambda: Evil(repeat(BLOCK), 400),
    "error_bomb": lambda: bomb(gzip.compress, "gzip", 400),
    "moved_endless": lambda: Evil(repeat(BLOCK), 307, {"Location": "/sound/v1"}),
    "torn_gzip": lambda: Evil([gzip.compress(b"{}" * 999)[:20]], headers={"Content-Encoding": "gzip"}, length=20),
    "no_gzip": lambda: sent(completion(), Content_Encoding="gzip"),
    "unknown_encoding": lambda: sent(completion(), Content_Encoding="zip"),
    "many_encodings": lambda: sent(completion(), Content_Encoding=", ".join(["gzip"] * 9)),
    "short": lambda: Evil([b"{}"], length=99),
    "nothing": lambda: Evil([], 204, length=0),
    # what is in them
    "list": lambda: sent([]),
    "page": lambda: sent("<html>hello</html>", Content_Type="text/html"),
    "deep": lambda: sent(nested(100_000)),
    "many_values": lambda: sent(json.dumps(completion())[:-1] + ', "more": [' + "[]," * 150_000 + "1]}"),
    "nan": lambda: sent('{"choices": NaN, "data": [{"embedding": [NaN, NaN]}]}'),
    "huge_number": lambda: sent('{"choices": ' + "9" * 9999 + "}"),
    "bom": lambda: sent("\ufeff" + json.dumps(completion())),
    "half_characters": lambda: sent(said({"content": "\ud800", "reasoning": "\udfff"})),
    "wrong_charset": lambda: sent(completion(), Content_Type="application/json; charset=hex"),
    "odd_reason": lambda: sent(said({"content": "x"}, finish_reason=["stop"])),
    "odd_error": lambda: sent(completion(error={"message": {"a": []}})),
    "odd_calls": lambda: sent(said({"content": None, "tool_calls": [None, 5, {"function": 5}, {}]})),
    "odd_parts": lambda: sent(said({"content": [{"type": ["text"]}, {"type": "text", "text": {"value": []}}]})),
    "many_calls": lambda: sent(said({"content": None, "tool_calls": called(4000)})),
    "deep_arguments": lambda: sent(said({"content": "", "tool_calls": called(1, nested(900, '{"a":', "}"))})),
    "blanks": lambda: sent(said({"content": "safe" + " " * 300_000})),
    "odd_vectors": lambda: sent({"data": [{"embedding": [1, "x"]}, {"embedding": None}]}),
    "ragged_vectors": lambda: sent({"data": [{"embedding": [1]}, {"embedding": [1, 2]}]}),
    "no_vectors": lambda: sent({"data": [5, "x"]}),
    "infinite_vectors": lambda: sent('{"data": [{"embedding": [1e999]}, {"embedding": [1]}]}'),
    # numbers of a server
    **{
        f"usage_{name}": lambda told=told: sent(
            json.dumps(completion()).replace('"completion_tokens": 3', f'"completion_tokens": {told}')
        )
        for name, told in {
            "huge": DIGITS,
            "negative": "-1000000000",
            "true": "true",
            "fraction": "1.5",
            "infinite": "1e999",
            "text": '"7"',
            "list": "[7]",
        }.items()
    },
    "usage_list": lambda: sent(completion(usage=[1])),
    "wait_year": lambda: busy("Mon, 01 Jan 10000000000 00:00:00 GMT"),
    "wait_month": lambda: busy("Mon, 99 Foo 2026 99:99:99 GMT"),
    "wait_zone": lambda: busy("Mon, 01 Jan 0001 00:00:00 +9999"),
    "wait_digits": lambda: busy("-" + DIGITS),
    "wait_nan": lambda: busy("nan"),
    "wait_list": lambda: busy("[], {}"),
    # errors
    "error_deep": lambda: sent('{"error": ' + nested(900) + "}", 400),
    "error_list": lambda: sent([1, [2]], 503, Retry_After="0"),
    "error_number": lambda: sent({"error": {"message": 5}}, 422),
    "status_unknown": lambda: sent({}, 599),
    # redirects
    "moved_host": lambda: moved(307, "http://127.0.0.2:PORT/sound/v1/chat/completions"),
    "moved_port": lambda: moved(308, "http://127.0.0.1:9/v1"),
    "moved_scheme": lambda: moved(302, "https://127.0.0.1:PORT/v1"),
    "moved_file": lambda: moved(301, "file:///etc/passwd"),
    "moved_short": lambda: moved(307, "//127.0.0.2:PORT/v1"),
    "moved_user": lambda: moved(307, "http://127.0.0.1:PORT@127.0.0.2:PORT/v1"),
    "moved_nowhere": lambda: moved(307, "http://[::1"),
    "moved_circle": lambda: moved(307, ""),
}


@dataclass
class EvilServer:
    """Where it listens, how many evil replies are left, what it was asked and how much it could send."""

    port: int = 0
    evil: int = 10**9
    hosts: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    bytes_sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, trait: str) -> str:
        """The address of the server with this trait."""
        return f"http://127.0.0.1:{self.port}/{trait}/v1"


@contextmanager
def evil_server() -> Iterator[EvilServer]:
    """Serve all traits on a free port, at every address of this machine."""
    state = EvilServer()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with state.lock:
                state.evil -= 1
                evil = state.evil >= 0
                state.hosts.append(self.headers["Host"])
                state.paths.append(self.path)
            reply = TRAITS.get(self.path.split("/")[1]) if evil else None
            with suppress(OSError):
                self.send(reply() if reply else sent(completion()))

        do_GET = do_POST = answer

        def send(self, reply: Evil) -> None:
            self.send_response(reply.status)
            for name, value in ({"Content-Type": "application/json"} | reply.headers).items():
                self.send_header(name, value.replace("PORT", str(state.port)))
            if reply.length is not None:
                self.send_header("Content-Length", str(reply.length))
            self.end_headers()
            for piece in reply.body:
                self.wfile.write(piece)
                with state.lock:
                    state.bytes_sent += len(piece)

        def log_message(self, *_: Any) -> None:
            pass

    running = ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    running.daemon_threads = True
    state.port = running.server_address[1]
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        running.shutdown()
        running.server_close()
        thread.join()
