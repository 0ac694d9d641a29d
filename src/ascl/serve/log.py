"""What a gateway says on stderr: messages for people, or JSON lines, of which each request is one.

No line holds what a client or a model said, nor the secret of a key: of an exception its kind and place are told, not
its words, and of an address only that it is one of ours.
"""

import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ascl.progress import tell
from ascl.serve.traces import describe_request, request_span

LogFormat = Literal["text", "json"]
MESSAGES = logging.getLogger("ascl.serve")
REQUESTS = logging.getLogger("ascl.serve.requests")
PROBES = ("/healthz", "/readyz")  # asked every few seconds, and not told
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def start_logging(form: LogFormat) -> None:
    """Say messages as text, or everything (that of libraries too) as JSON lines."""
    lines = form == "json"
    MESSAGES.setLevel(logging.INFO)
    REQUESTS.setLevel(logging.INFO if lines else logging.CRITICAL)
    MESSAGES.handlers, MESSAGES.propagate = [] if lines else [_Told()], lines
    if lines:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logging.basicConfig(handlers=[handler], force=True)


def place_of(error: BaseException) -> str:
    """Where an exception was raised: file and line, without its words."""
    trace, places = error.__traceback__, ["?"]
    while trace is not None:
        places.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return places[-1]


class JsonLines(logging.Formatter):
    """A record as one line of JSON in ASCII: its time, level, the first line of its message, and its `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": at.replace("+00:00", "Z"), "level": record.levelname.lower()}
        line |= {"message": record.getMessage().partition("\n")[0]} | getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            line["error"], trace, places = record.exc_info[0].__name__, record.exc_info[2], []
            while trace is not None:
                places.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
                trace = trace.tb_next
            line["at"] = places
        return json.dumps(line)


class _Told(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tell(record.getMessage())


class Logged:
    """An ASGI application whose requests are lines of the log and spans of a trace.

    It reads what the application leaves in the scope: `ascl.key`, and `ascl.request` of one for a completion.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        began, status = time.monotonic(), 499  # where the client left before it was told anything
        headers: dict[bytes, bytes] = {}

        async def noted(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers.update(message["headers"])
            await send(message)

        with request_span(scope) as span:
            try:
                await self.app(scope, receive, noted)
            finally:
                fields = {"request": headers.get(b"x-request-id", b"").decode() or None} | _told(scope)
                fields |= {"status": status, "seconds": round(time.monotonic() - began, 4)}
                describe_request(span, scope["method"], fields)
                REQUESTS.info("request", extra={"fields": fields})


def _told(scope: Scope) -> dict[str, Any]:
    """Whose request it was, and what it came to. route: None for an address that is not there."""
    key, started = scope.get("ascl.key"), scope.get("ascl.request")
    fields = {
        "key": key.id if key else None,
        "tenant": key.tenant if key else None,
        "route": scope["path"] if "endpoint" in scope else None,
    }
    if started is not None:
        turns = sum(len(walked.usage) for walked in started.walks)
        fields |= {"outcome": started.outcome, "rules": started.pinned.version, "turns": turns}
    return fields
