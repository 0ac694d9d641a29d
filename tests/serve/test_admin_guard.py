"""Who may use the admin page: passwords, sessions, forms of other sites, and the headers of every reply."""

import asyncio
import re
from pathlib import Path

import httpx2
import pytest
from administered import NEW, PAGES, PASSWORD, SAME, Admin, Html, ask, on_disk

from ascl.errors import InputError
from ascl.serve.admin.guard import LONGEST_FORM
from ascl.serve.admin.session import ADMIN, LASTS, MOST, TRIES, WAIT, Sessions, read_password, set_password
from ascl.serve.keys import make_key
from ascl.serve.protocol.errors import ApiError
from ascl.serve.run import KEYS

FORMS = ("/edit", "/keys", "/keys/revoke", "/sign-out")


def test_sign_in_and_out(admin: Admin) -> None:
    admin.client.cookies.clear()
    for path in PAGES:
        reply = admin.client.get(path)
        assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in")
    reply = admin.sign_in()
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith("ascl-admin=") and "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    assert "Secure" not in cookie and "Domain" not in cookie
    id = admin.client.cookies["ascl-admin"]
    assert admin.page("/").hidden("token") != id
    assert admin.post("/sign-out", {}).headers["location"] == "/sign-in"
    admin.client.cookies.set("ascl-admin", id)
    assert admin.client.get("/").status_code == 303, "the session ended here, not in the browser alone"


def test_over_https_the_cookie_is_bound_to_its_host(admin: Admin) -> None:
    proxied = {"x-forwarded-proto": "https", **SAME}
    reply = admin.client.post("/sign-in", data={"password": PASSWORD}, headers=proxied)
    assert re.match(r"__Host-ascl=.*; Path=/; .*Secure", reply.headers["set-cookie"])


def test_wrong_passwords_have_to_wait(admin: Admin) -> None:
    admin.client.cookies.clear()
    for _ in range(TRIES):
        assert admin.sign_in("wrong password").status_code == 401
    reply = admin.sign_in()
    assert reply.status_code == 429 and 0 < int(reply.headers["retry-after"]) <= WAIT
    admin.now[0] += WAIT
    assert admin.sign_in("wrong password").status_code == 401
    assert admin.sign_in().status_code == 429
    admin.now[0] += WAIT
    assert admin.sign_in().status_code == 303
    assert admin.sign_in("wrong password").status_code == 401
    assert admin.sign_in().status_code == 303, "the count begins again"


def test_tries_at_the_same_time_are_counted(tmp_path: Path) -> None:
    set_password(tmp_path / ADMIN, PASSWORD)
    sessions = Sessions(read_password(tmp_path / ADMIN), lambda: 0.0)

    def attempt() -> int:
        with pytest.raises(ApiError) as failed:
            sessions.sign_in("wrong password")
        return failed.value.status

    async def together() -> list[int]:
        return await asyncio.gather(*(asyncio.to_thread(attempt) for _ in range(3 * TRIES)))

    assert sorted(asyncio.run(together())) == [401] * TRIES + [429] * 2 * TRIES


def test_a_session_ends_after_eight_hours(admin: Admin) -> None:
    admin.now[0] += LASTS - 1
    admin.page("/")
    admin.now[0] += 1
    assert admin.client.get("/").headers["location"] == "/sign-in"


def test_the_oldest_of_many_sessions_ends(tmp_path: Path) -> None:
    set_password(tmp_path / ADMIN, PASSWORD)
    sessions = Sessions(read_password(tmp_path / ADMIN), lambda: 0.0)
    made = [sessions.sign_in(PASSWORD) for _ in range(MOST + 2)]
    assert [sessions.find(one.id) is not None for one in made] == [False] * 2 + [True] * MOST
    assert sessions.find(None) is None


def test_the_password_is_kept_as_a_hash_that_its_owner_alone_reads(tmp_path: Path) -> None:
    path = tmp_path / "gateway" / ADMIN
    for bad in ("", "short", "x" * 2000):
        with pytest.raises(InputError, match="characters"):
            set_password(path, bad)
    with pytest.raises(InputError, match="ascl serve password"):
        read_password(path)
    set_password(path, PASSWORD)
    first = path.read_text()
    set_password(path, PASSWORD)
    assert PASSWORD not in first and path.read_text() != first, "salted"
    assert path.stat().st_mode & 0o077 == 0
    sessions = Sessions(read_password(path))
    set_password(path, "caf\u00e9 au lait")
    assert sessions.sign_in(PASSWORD), "the new one is taken at the next start"
    assert Sessions(read_password(path)).sign_in("cafe\u0301 au lait"), "however the accent is typed"
    path.write_text('{"salt": "00"}')
    with pytest.raises(InputError):
        read_password(path)


# Forms of others.


@pytest.mark.parametrize("path", FORMS)
def test_a_form_needs_the_token_and_the_same_origin(admin: Admin, path: str) -> None:
    key = make_key(admin.served.folder / KEYS, "team")
    admin.served.gateway.keys.load()
    edit = admin.page("/edit?file=tea.yaml")
    form = {"file": "tea.yaml", "text": NEW, "opened": edit.hidden("opened"), "do": "publish"}
    form |= {"tenant": "x", "form": "ascl", "show": "nothing", "id": key.split("-")[2]}
    good, root = form | {"token": edit.hidden("token")}, admin.served.folder.parent
    before = on_disk(root)
    own = {"origin": admin.url}
    for headers in (
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://[evil"},
        {"origin": f"{admin.url}.evil.example"},
        {"origin": admin.served.url},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", **own},
        {"sec-fetch-site": "same-origin", "origin": "http://evil.example"},
    ):
        reply = admin.client.post(path, data=good, headers=headers)
        assert reply.status_code == 403, headers
    other = Sessions(read_password(admin.served.folder / ADMIN)).sign_in(PASSWORD).token
    for token in ({}, {"token": ""}, {"token": other}, {"token": "\u00e9"}, {"token": form["opened"]}):
        assert admin.client.post(path, data=form | token, headers=SAME | own).status_code == 403
    assert admin.client.get(path, params=good, headers=SAME).status_code in (200, 405)
    with httpx2.Client(base_url=admin.url) as stranger:
        assert stranger.post(path, data=good, headers=SAME).status_code == 401
    assert on_disk(root) == before
    assert admin.client.get("/").status_code == 200, "still signed in"
    assert admin.client.post(path, data=good, headers=own).status_code in (200, 303), "and the good one is taken"


def test_signing_in_needs_the_same_origin(admin: Admin) -> None:
    admin.client.cookies.clear()
    for headers in ({}, {"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert admin.client.post("/sign-in", data={"password": PASSWORD}, headers=headers).status_code == 403
    assert not admin.client.cookies


def test_looking_writes_nothing(admin: Admin) -> None:
    assert ask(admin).status_code == 200
    root = admin.served.folder.parent
    before = on_disk(root)
    queries = ("", "?q=tea", "?file=tea.yaml&do=publish&text=x&opened=y", "?tenant=x&form=ascl&show=nothing&id=y")
    for path in (*PAGES, "/keys/revoke", "/sign-out", "/sign-in"):
        for query in queries:
            for method in ("GET", "HEAD"):
                admin.client.request(method, path + query, headers=SAME)
    assert on_disk(root) == before
    assert admin.client.get("/").status_code == 200


# Every reply.


def test_every_reply_forbids_scripts_frames_and_caches(admin: Admin) -> None:
    def check(reply: httpx2.Response, status: int) -> None:
        assert reply.status_code == status, reply.request.url
        policy = reply.headers["content-security-policy"]
        assert policy == (
            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert not {"script", "iframe", "object", "embed", "base", "style"} & {
            tag for tag, _ in Html(reply.text).elements
        }

    assert ask(admin).status_code == 200
    for path in (*PAGES, "/static/style.css", "/rules?q=tea", "/edit?file=tea.yaml", "/records/2"):
        check(admin.client.get(path), 200)
    for path in (
        "/nothing",
        "/static/../app.py",
        "/static/app.py",
        "/records/3000",
        "/records/x",
        f"/records/{'9' * 5000}",
    ):
        check(admin.client.get(path), 404)
    check(admin.client.delete("/keys"), 405)
    check(admin.client.get("/sign-in"), 303)
    check(admin.client.post("/keys", json={}, headers=SAME), 415)
    check(admin.client.post("/keys", data={"token": "x"}, headers=SAME), 403)
    check(admin.client.post("/keys", data={str(n): "" for n in range(100)}, headers=SAME), 400)
    check(admin.post("/keys", {"tenant": "x", "tokens_per_day": "many"}), 400)
    check(admin.post("/keys", {"tenant": "x", "form": "other"}), 400)
    with httpx2.Client(base_url=admin.url) as stranger:
        check(stranger.get("/sign-in"), 200)
        check(stranger.get("/"), 303)
        check(stranger.post("/sign-in", data={"password": "wrong"}, headers=SAME), 401)
    (admin.served.folder / "audit.sqlite").unlink()
    check(admin.client.get("/records"), 400)
    admin.served.gateway.books.sources = None  # type: ignore[assignment]
    check(admin.client.get("/"), 500)


def test_a_form_is_bounded(admin: Admin) -> None:
    form = {"file": "tea.yaml", "opened": "x", "do": "publish", "text": ""}
    token = admin.page("/").hidden("token")
    filled = len(httpx2.Request("POST", admin.url, data=form | {"token": token}).read())
    reply = admin.post("/edit", form | {"text": "x" * (LONGEST_FORM - filled + 1)})
    assert reply.status_code == 413
    assert admin.post("/edit", form | {"text": "x" * (LONGEST_FORM - filled)}).status_code == 400, "it is no YAML"
