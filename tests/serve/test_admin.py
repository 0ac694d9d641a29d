"""The admin page: what it shows of the trail, the rules and the keys."""

from typing import Any

from administered import PAGES, Admin, administered, ask, secret_of
from gateways import Serve
from guarding import Guarding
from scripted import answers

from ascl.serve.run import KEYS


def test_the_overview_has_the_figures_of_the_trail(admin: Admin) -> None:
    for _ in range(3):
        admin.served.script.bodies.clear()
        assert ask(admin).status_code == 200
    words = " ".join(admin.page("/").words.split())
    assert f"version {admin.served.gateway.books.pin('default').version}, 2 rules" in words
    assert "Requests finished 3, under way 0" in words
    assert "answered 3" in words
    assert "Consult rate (form ascl) 100.0 % (95 % interval 43.9 to 100.0; n = 3)" in words
    assert "Refusals not known" in words
    assert "Not known: 3 answers of the form ascl. 500 are needed" in words


def test_the_rules_and_what_a_look_up_returns(admin: Admin) -> None:
    assert ask(admin).status_code == 200
    words = " ".join(admin.page("/rules").words.split())
    assert "tea.cold Serving cold tea to a guest in the house. (1)" in words
    assert "bread.old Serving old bread to a guest in the house. (1)" in words
    words = " ".join(admin.page("/rules?q=old+bread+crumbs").words.split())
    ((rule, similarity),) = admin.served.gateway.books.pin("default").tool.book.search("old bread crumbs", 2)
    assert f"({100 * similarity:.1f} %) {rule.id} {rule.text}" in words
    assert "No rule is about this." in admin.page("/rules?q=zebra").words
    admin.page(f"/rules?q={'x' * 30_000}")


def test_the_records_by_tenant_and_kind(admin: Admin) -> None:
    assert ask(admin).status_code == 200
    rows = [a["href"] for tag, a in admin.page("/records").elements if tag == "a" and "/records/" in (a["href"] or "")]
    assert rows == ["/records/2", "/records/1"]
    for query, count in (("tenant=local", 2), ("tenant=other", 0), ("kind=begun", 1), ("tenant=local&kind=failed", 0)):
        links = [a["href"] or "" for tag, a in admin.page(f"/records?{query}").elements if tag == "a"]
        assert sum(link.startswith("/records/") for link in links) == count
    said = admin.page("/records/2").words
    assert '"kind": "finished"' in said and '"serving tea"' in said


def test_a_key_has_the_guard_unless_it_is_turned_off(serving: Serve, guard: Guarding) -> None:
    form = {"tenant": "team", "form": "ascl", "show": "nothing"}
    with administered(serving, answers("A bomb."), guard=guard.settings) as admin:
        plain, open_one = (secret_of(admin.post("/keys", form | more).text) for more in ({}, {"guard": "off"}))
        endings = [ask(admin, key).json()["choices"][0]["finish_reason"] for key in (plain, open_one)]
        assert endings == ["content_filter", "stop"]
        assert admin.post("/keys", form | {"guard": "sometimes"}).status_code == 400
        assert "on: it judges" in admin.page("/keys").words


def test_a_key_keeps_contents_where_that_is_said_and_has_no_guard_that_is_not_there(admin: Admin) -> None:
    form = {"tenant": "team", "form": "ascl", "show": "nothing"}
    for said, kept in (({}, False), ({"contents": "no"}, False), ({"contents": "yes"}, True)):
        secret_of(admin.post("/keys", form | said).text)
        assert admin.served.gateway.keys.all[-1].contents is kept
    for wrong in ({"guard": "on"}, {"contents": "perhaps"}):
        assert admin.post("/keys", form | wrong).status_code == 400
    assert "it judges" not in admin.page("/keys").words
    assert [key.contents for key in admin.served.gateway.keys.all] == [False, False, True]


def test_keys_are_made_once_and_revoked(admin: Admin) -> None:
    assert "anybody who reaches the gateway may ask" in admin.page("/keys").words
    form = {"tenant": "team", "form": "ascl", "show": "nothing", "requests_per_minute": "60", "tokens_per_day": ""}
    reply = admin.post("/keys", form)
    made = secret_of(reply.text)
    (kept,) = admin.served.gateway.keys.all
    assert (kept.tenant, kept.requests_per_minute, kept.tokens_per_day) == ("team", 60, 0)
    page = admin.client.get("/keys").text
    assert "team" in page and kept.id in page
    assert made.split("-", 3)[3] not in page and kept.sha256 not in page
    assert ask(admin, made).status_code == 200
    second = secret_of(admin.post("/keys", form | {"tenant": "other"}).text)
    assert admin.post("/keys/revoke", {"id": kept.id}).headers["location"] == "/keys"
    assert ask(admin, made).status_code == 401
    assert ask(admin, second).status_code == 200
    assert admin.post("/keys/revoke", {"id": kept.id}).status_code == 404
    admin.post("/keys/revoke", {"id": second.split("-")[2]})
    assert ask(admin, second).status_code == 401
    assert ask(admin).status_code == 401, "without a key left nobody may ask"
    assert (admin.served.folder / KEYS).stat().st_mode & 0o077 == 0


def test_fields_have_labels(admin: Admin) -> None:
    pages: list[Any] = [admin.page(path) for path in (*PAGES[:4], "/keys", "/edit?file=tea.yaml")]
    admin.client.cookies.clear()
    for page in (*pages, admin.page("/sign-in")):
        labels = {given["for"] for tag, given in page.elements if tag == "label"}
        fields = [given for tag, given in page.elements if tag in ("input", "select", "textarea")]
        assert all("hidden" in (*given, given.get("type")) or given["id"] in labels for given in fields)
        ids = [given["id"] for _, given in page.elements if "id" in given]
        assert len(ids) == len(set(ids))
        assert sum(tag == "h1" for tag, _ in page.elements) == 1
