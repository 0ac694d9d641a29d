"""A teacher for the tests: a real HTTP server that speaks the chat-completions protocol from a script.

A script may also answer as servers do that are busy, broken or not what they were taken for (`Raw`).
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Raw:
    """A reply as it stands. silent: no answer before the test ends; cut: the connection is lost inside the body."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    cut: bool = False


# From the messages of a request to the assistant message of the reply, or the whole reply. A script that raises answers
# with status 400.
Script = Callable[[list[dict[str, Any]]], dict[str, Any] | Raw]


class Teacher:
    """The running server: where it listens, what it was asked, and the script it follows (may be changed)."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.sent_to: list[tuple[str, str | None]] = []  # the path and the Authorization of each request
        self.base_url = ""

    @property
    def asked(self) -> list[str]:
        """The user texts of all requests, in the order of their arrival."""
        return [user_text(request["messages"]) for request in self.requests]


def user_text(messages: list[dict[str, Any]]) -> str:
    """The last text of the user in a request."""
    return next(m["content"] for m in reversed(messages) if m["role"] == "user")


def said(content: str, thought: str | None = None) -> dict[str, Any]:
    """An answer."""
    return {"role": "assistant", "content": content, "reasoning_content": thought}


def called(query: str, thought: str, name: str = "safety-policy-retrieve_policy") -> dict[str, Any]:
    """A call of the consult tool."""
    function = {"name": name, "arguments": json.dumps({"query": query})}
    return said("", thought) | {"tool_calls": [{"id": "x", "type": "function", "function": function}]}


@contextmanager
def teacher(script: Script) -> Iterator[Teacher]:
    """Serve the script on a free port of this machine."""
    state, lock, over = Teacher(script), threading.Lock(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # a reply leaves in one piece

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                state.requests.append(request)
                state.sent_to.append((self.path, self.headers.get("Authorization")))
            try:
                message = state.script(request["messages"])
            except Exception as error:
                self.reply(Raw(400, json.dumps({"error": {"message": str(error)}}).encode()))
                return
            if isinstance(message, Raw):
                self.reply(message)
                return
            finish = message.pop("finish_reason", "stop")
            choice = {"index": 0, "message": message, "finish_reason": finish}
            usage = {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6}
            made = {"id": "r", "object": "chat.completion", "created": 0, "model": request["model"]}
            self.reply(Raw(body=json.dumps(made | {"choices": [choice], "usage": usage}).encode()))

        def reply(self, raw: Raw) -> None:
            if raw.silent:
                over.wait()
                return
            self.send_response(raw.status)
            for name, value in {"Content-Type": "application/json", **raw.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw.body) + raw.cut))
            self.end_headers()
            self.wfile.write(raw.body)
            self.close_connection = raw.cut

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that was killed or has stopped waiting is none of the server's errors."""

    server = Server(("127.0.0.1", 0), Handler)
    state.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    try:
        yield state
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        serving.join()
