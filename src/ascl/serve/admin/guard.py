"""What every request to the admin page must pass, and the headers that every reply has.

No page holds a script, and none may run, be framed, or load anything but our style sheet. A form counts only where it
came from a page of this address: browsers say so in Sec-Fetch-Site or Origin, and another site can't set either.
"""

import asyncio
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ascl.serve.protocol.errors import ApiError

LONGEST_FORM = 2 * 2**20  # bytes
FORM_TIME = 60.0  # seconds for a form to arrive
MOST_FIELDS = 32
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer, browsers send `Origin: null`
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def with_headers(app: ASGIApp) -> ASGIApp:
    """The application with HEADERS on every reply, those to errors too."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await app(scope, receive, sent)

    return guarded


def cookie(request: Request) -> dict[str, Any]:
    """The name and the attributes of the session's cookie. Over http browsers take neither `__Host-` nor Secure."""
    secure = request.url.scheme == "https"
    name = "__Host-ascl" if secure else "ascl-admin"
    return {"key": name, "secure": secure, "httponly": True, "samesite": "strict", "path": "/"}


def check_origin(request: Request) -> None:
    """Raise ApiError (403) where a form did not come from a page of this address, or nothing says that it did."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    host = request.headers.get("host")
    if (site is None and origin is None) or site not in (None, "same-origin") or not _is_of(origin, host):
        raise ApiError(403, "This form came from another site. Open the page itself and send it again.")


def _is_of(origin: str | None, host: str | None) -> bool:
    try:
        return origin is None or urlsplit(origin).netloc == host
    except ValueError:
        return False


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, bounded in size and time. Raises ApiError."""
    content = bytearray()
    try:
        async with asyncio.timeout(FORM_TIME):
            async for part in request.stream():
                content += part
                if len(content) > LONGEST_FORM:
                    raise ApiError(413, f"The form is larger than {LONGEST_FORM >> 20} MiB.")
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
            raise ApiError(415, "A form is expected.")
        said = parse_qsl(content.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except TimeoutError as error:
        raise ApiError(408, "The form did not arrive in time.") from error
    except ValueError as error:
        raise ApiError(400, "The form can't be read.") from error
    return dict(said)
