"""A gateway with its admin page, and somebody who signed in."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
from gateways import Serve, Served
from scripted import Chunks, answers, running

from ascl.serve.admin.app import build_admin
from ascl.serve.admin.session import ADMIN, Sessions, read_password, set_password

PASSWORD = "correct horse battery"
PAGES = ("/", "/rules", "/edit", "/records", "/records/1", "/keys")
SAME = {"sec-fetch-site": "same-origin"}
OLD = "category: tea\ntitle: Tea\nrules:\n- {id: tea.cold, text: Serving cold tea to a guest in the house.}\n"
NEW = "category: tea\ntitle: Tea\nrules:\n- {id: tea.warm, text: Serving warm tea to a guest in the house.}\n"


class Html(HTMLParser):
    """A page taken apart: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.words += " "

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", {}))

    @property
    def shape(self) -> list[tuple[str, list[str]]]:
        """Every element with the names of its attributes."""
        return [(tag, list(given)) for tag, given in self.elements]

    def hidden(self, name: str) -> str:
        """The value of a hidden field."""
        return next(given["value"] or "" for _, given in self.elements if given.get("name") == name)


@dataclass
class Admin:
    """The admin page of a gateway at an address. now: what its clock says."""

    served: Served
    url: str
    client: httpx2.Client
    now: list[float] = field(default_factory=lambda: [0.0])

    def page(self, path: str, status: int = 200) -> Html:
        """A page."""
        reply = self.client.get(path)
        assert reply.status_code == status, reply.text
        return Html(reply.text)

    def post(self, path: str, data: dict[str, str], **headers: str) -> httpx2.Response:
        """Send a form with the token of the session."""
        token = self.page("/").hidden("token")
        return self.client.post(path, data={"token": token} | data, headers=SAME | headers)

    def sign_in(self, password: str = PASSWORD) -> httpx2.Response:
        """Send the form of the sign-in page."""
        return self.client.post("/sign-in", data={"password": password}, headers=SAME)


@contextmanager
def administered(serving: Serve, *turns: Chunks, signed_in: bool = True, **settings: Any) -> Iterator[Admin]:
    """A gateway, its admin page, and a client."""
    with serving(*(turns or (answers("Yes."),)), **settings) as served:
        set_password(served.folder / ADMIN, PASSWORD)
        now = [1000.0]
        sessions = Sessions(read_password(served.folder / ADMIN), lambda: now[0])
        with running(build_admin(served.gateway, sessions)) as url, httpx2.Client(base_url=url) as client:
            admin = Admin(served, url, client, now)
            if signed_in:
                assert admin.sign_in().status_code == 303
            yield admin


def secret_of(text: str) -> str:
    """The key that a page shows."""
    found = re.search(r"sk-ascl-[\w-]+", text)
    assert found is not None, text
    return found[0]


def ask(admin: Admin, key: str = "") -> httpx2.Response:
    """The gateway's reply to a client."""
    body = {"model": "model", "messages": [{"role": "user", "content": "Tea?"}]}
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx2.post(f"{admin.served.url}/v1/chat/completions", json=body, headers=headers, timeout=30)


def on_disk(folder: Path) -> dict[str, bytes]:
    """The files below a folder; SQLite's own beside the trail come and go with those who read it."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
    return {str(path): path.read_bytes() for path in files}
