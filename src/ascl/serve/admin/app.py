"""The admin page: what the gateway did, the rules in force, their files and the keys. Plain HTML, without scripts."""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ascl.errors import InputError
from ascl.inputs import read_text
from ascl.serve.admin import trail
from ascl.serve.admin.edit import Changed, edited_book, files_of, mark_of, preview, publish
from ascl.serve.admin.guard import LONGEST_FORM, check_origin, cookie, read_form, with_headers
from ascl.serve.admin.pages import html, message
from ascl.serve.admin.session import LASTS, Session, Sessions
from ascl.serve.gateway import Gateway
from ascl.serve.keys import make_key, revoke_key
from ascl.serve.log import MESSAGES
from ascl.serve.protocol.errors import ApiError
from ascl.serve.trail.consultations import recorded
from ascl.serve.trail.replay import NOT_SEEN

BOOK = "default"  # the gateway's one book
REPLAYED = 1000  # of the newest look-ups


@dataclass(frozen=True)
class Asked:
    """A request that passed the guard."""

    request: Request
    form: dict[str, str]
    session: Session | None

    @property
    def signed_in(self) -> Session:
        """The session, of pages that only those who signed in reach."""
        assert self.session is not None
        return self.session

    def query(self, name: str) -> str:
        """A part of the address."""
        return self.request.query_params.get(name, "")


def build_admin(gateway: Gateway, sessions: Sessions) -> ASGIApp:
    """The application over a gateway of this process."""
    pages = _Pages(gateway, sessions)
    every = [
        ("GET", "/", pages.overview),
        ("GET", "/rules", pages.rules),
        ("GET", "/edit", pages.edit),
        ("POST", "/edit", pages.edited),
        ("GET", "/records", pages.records),
        ("GET", "/records/{seq}", pages.record),
        ("GET", "/keys", pages.keys),
        ("POST", "/keys", pages.make_key),
        ("POST", "/keys/revoke", pages.revoke_key),
        ("POST", "/sign-out", pages.sign_out),
    ]
    anybody = [
        ("GET", "/sign-in", pages.sign_in),
        ("POST", "/sign-in", pages.signed_in),
        ("GET", "/static/style.css", _style),
    ]
    routes = [Route(path, _endpoint(pages, page, True), methods=[method]) for method, path, page in every]
    routes += [Route(path, _endpoint(pages, page, False), methods=[method]) for method, path, page in anybody]

    async def failed(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        told = {404: "There is nothing at this address.", 405: "This address does not take this method."}
        return message(told.get(status, "This failed; the gateway's log says why."), status)

    return with_headers(Starlette(routes=routes, exception_handlers={HTTPException: failed, Exception: failed}))


def _endpoint(pages: "_Pages", page: Callable[[Asked], Response], guarded: bool) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        session, form = pages.sessions.find(request.cookies.get(cookie(request)["key"])), dict[str, str]()
        try:
            if guarded and session is None and request.method != "POST":
                return RedirectResponse("/sign-in", 303)
            if request.method == "POST":
                form = await read_form(request)  # before any error: a reply to half a request closes the connection
                check_origin(request)
                if guarded and session is None:
                    raise ApiError(401, "You are signed out. Go back, copy what you wrote, and sign in again.")
                token = form.get("token", "").encode()
                if guarded and session and not secrets.compare_digest(token, session.token.encode()):
                    raise ApiError(403, "This form is not of your session. Open the page again.")
            return await asyncio.to_thread(page, Asked(request, form, session))
        except ApiError as error:
            reply = message(error.message, error.status, session)
            reply.headers.update(error.headers())
            return reply
        except (InputError, OSError) as error:
            return message(str(error), 400 if isinstance(error, InputError) else 500, session)
        except ClientDisconnect:
            return Response()

    return endpoint


class _Pages:
    """Each page as a function of what was asked. They read files and the trail, so they run in threads."""

    def __init__(self, gateway: Gateway, sessions: Sessions) -> None:
        self.gateway, self.sessions = gateway, sessions
        self.source = gateway.books.sources[BOOK]

    def sign_in(self, asked: Asked) -> Response:
        return RedirectResponse("/", 303) if asked.session else _page("sign_in.html", asked)

    def signed_in(self, asked: Asked) -> Response:
        session = self.sessions.sign_in(asked.form.get("password", ""))
        reply = RedirectResponse("/", 303)
        reply.set_cookie(**cookie(asked.request), value=session.id, max_age=int(LASTS))
        return reply

    def sign_out(self, asked: Asked) -> Response:
        self.sessions.end(asked.signed_in)
        reply = RedirectResponse("/sign-in", 303)
        reply.delete_cookie(**cookie(asked.request))
        return reply

    def overview(self, asked: Asked) -> Response:
        books = self.gateway.books
        pinned = {name: books.pin(name) for name in books.sources}
        found = trail.figures(self.gateway.audit.path, time.time())
        return _page("overview.html", asked, pinned=pinned, problem=books.problem, found=found, gateway=self.gateway)

    def rules(self, asked: Asked) -> Response:
        tool, query = self.gateway.books.pin(BOOK).tool, asked.query("q")
        hits = tool.hits(tool.book.search(query, tool.default_top_k)) if query.strip() else []
        past = recorded(trail.recent(self.gateway.audit.path))
        counts = Counter(rule for one in past for rule in one.rules)
        return _page(
            "rules.html", asked, book=tool.book, top_k=tool.default_top_k, query=query, hits=hits, counts=counts
        )

    def edit(self, asked: Asked) -> Response:
        there = files_of(self.source)
        name = asked.query("file") or (next(iter(there)) if len(there) == 1 else "")
        if not name:
            return _page("edit.html", asked, source=self.source, names=list(there), file="")
        text = read_text(self._file(name))
        if len(urlencode({"text": text.replace("\n", "\r\n")})) > LONGEST_FORM - 1024:
            raise InputError(f"{name}: is too long to be edited here")
        return self._editor(asked, name, text, mark_of(text))

    def edited(self, asked: Asked) -> Response:
        form, books = asked.form, self.gateway.books
        name, text = form.get("file", ""), form.get("text", "").replace("\r\n", "\n").replace("\r", "\n")
        file, opened = self._file(name), form.get("opened", "")
        try:
            after = edited_book(self.source, name, text, books.embedding_model)
        except InputError as error:
            return self._editor(asked, name, text, opened, 400, unreadable=str(error))
        past = [one for one in recorded(trail.recent(self.gateway.audit.path)) if one.query]
        seen = preview(books.pin(BOOK).tool.book, after, past[-REPLAYED:])
        published = form.get("do") == "publish"
        if published:
            try:
                publish(file, text, opened)
            except Changed as error:
                return self._editor(asked, name, text, opened, 409, theirs=str(error))
            MESSAGES.info(f"admin page: {file} was written")
            opened = mark_of(text)
        return self._editor(asked, name, text, opened, seen=seen, published=published)

    def _editor(self, asked: Asked, name: str, text: str, opened: str, status: int = 200, **said: Any) -> Response:
        told = {"unreadable": "", "theirs": None, "seen": None, "published": False} | said
        told |= {"trust": self.gateway.books.trust, "keeps": self.gateway.keep_queries, "not_seen": NOT_SEEN}
        return _page("edit.html", asked, status, source=self.source, file=name, text=text, opened=opened, **told)

    def _file(self, name: str) -> Path:
        file = files_of(self.source).get(name)
        if file is None:
            raise ApiError(404, "The rule book has no such file.")
        return file

    def records(self, asked: Asked) -> Response:
        tenant, kind = asked.query("tenant"), asked.query("kind")
        rows = trail.listed(self.gateway.audit.path, tenant, kind)
        return _page("records.html", asked, rows=rows, tenant=tenant, kind=kind, kinds=trail.KINDS, most=trail.LISTED)

    def record(self, asked: Asked) -> Response:
        seq = asked.request.path_params["seq"]
        found = trail.one(self.gateway.audit.path, int(seq)) if seq.isdecimal() and len(seq) < 19 else None
        if found is None:
            raise ApiError(404, "There is no such record.")
        return _page("record.html", asked, seq=found["seq"], text=json.dumps(found, ensure_ascii=False, indent=2))

    def keys(self, asked: Asked, made: str = "") -> Response:
        keys = self.gateway.keys
        guard = self.gateway.guard is not None
        return _page("keys.html", asked, keys=keys.all, anybody=keys.open, made=made, guard=guard)

    def make_key(self, asked: Asked) -> Response:
        form = asked.form
        try:
            limits = {name: int(form.get(name) or 0) for name in ("requests_per_minute", "tokens_per_day")}
        except ValueError as error:
            raise ApiError(400, "The limits are whole numbers; 0 is none.") from error
        guard = form.get("guard", "off" if self.gateway.guard is None else "on")
        if guard != "off" and self.gateway.guard is None:
            raise ApiError(400, "The gateway was started without a guard (ascl serve --guard).")
        if (contents := form.get("contents", "no")) not in ("no", "yes"):
            raise ApiError(400, "Contents are kept (yes) or not (no).")
        policy = {"form": form.get("form", ""), "show": form.get("show", ""), "guard": guard, **limits}
        policy["contents"] = contents == "yes"
        made = make_key(self.gateway.keys.path, form.get("tenant", "").strip(), **policy)
        MESSAGES.info(f"admin page: a key was made for {form['tenant']}")
        self.gateway.keys.load()
        return self.keys(asked, made)

    def revoke_key(self, asked: Asked) -> Response:
        id = asked.form.get("id", "")
        if id not in {key.id for key in self.gateway.keys.all}:
            raise ApiError(404, "There is no such key.")
        revoke_key(self.gateway.keys.path, id)
        MESSAGES.info(f"admin page: the key {id} was revoked")
        self.gateway.keys.load()
        return RedirectResponse("/keys", 303)


def _style(asked: Asked) -> Response:
    return Response(files(__package__).joinpath("style.css").read_bytes(), media_type="text/css")


def _page(template: str, asked: Asked, status: int = 200, **values: Any) -> Response:
    here = "/" + asked.request.url.path.split("/")[1]
    return html(template, asked.session, here, status, **values)
