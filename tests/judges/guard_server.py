"""A guard for the tests: a real HTTP server that can be stopped and started again on its port."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Messages = list[dict[str, str]]
# From the messages of a request to the guard's words, an HTTP status or (bytes) a web page; None holds the request
# until the server stops.
Script = Callable[[Messages], str | int | bytes | None]

PROBE = "Hello."  # what `served.py` asks to see whether the server is there


class GuardServer:
    """Speaks the chat-completions protocol. `asked` holds the conversations it was asked about, `probes` left out."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.probes = 0
        self.port = 0
        self.over = threading.Event()
        self.holding = threading.Event()  # set once a request is held
        self._server: ThreadingHTTPServer | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def asked(self) -> list[Messages]:
        return [request["messages"] for request in self.requests]

    def start(self) -> None:
        state = self

        class Handler(BaseHTTPRequestHandler):  # HTTP/1.0: a stopped server leaves no connection behind
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                probe = [m["content"] for m in request["messages"]] == [PROBE]
                if probe:
                    state.probes += 1
                else:
                    state.requests.append(request)
                said = state.script(request["messages"])
                if said is None:
                    state.holding.set()
                    state.over.wait()
                    return
                body: dict[str, Any] = {"error": {"message": "so the script says"}}
                if isinstance(said, str):
                    message = {"role": "assistant", "content": said}
                    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
                sent = said if isinstance(said, bytes) else json.dumps(body).encode()
                self.send_response(said if isinstance(said, int) else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that was killed is none of the server's errors."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self.over.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
