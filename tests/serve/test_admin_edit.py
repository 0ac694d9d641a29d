"""Rules edited on the admin page: previewed, published, never written over what others wrote, never unreadable."""

import re
from pathlib import Path

import httpx2
import pytest
from administered import NEW, OLD, Admin, Html, administered, ask, on_disk
from gateways import Serve
from test_books_swap import until

from ascl.rules.load import load_rules
from ascl.rules.signature import make_signing_key, sign
from ascl.serve.admin.guard import LONGEST_FORM


def edit(admin: Admin, text: str, do: str = "publish", **more: str) -> httpx2.Response:
    """Open the file, and send it with another text, with the line breaks of a browser."""
    opened = admin.page("/edit?file=tea.yaml").hidden("opened")
    form = {"file": "tea.yaml", "text": text.replace("\n", "\r\n"), "opened": opened, "do": do}
    return admin.post("/edit", form | more)


def test_a_preview_says_what_changes_and_writes_nothing(admin: Admin, tmp_path: Path) -> None:
    assert ask(admin).status_code == 200
    before = on_disk(tmp_path)
    links = [a["href"] for tag, a in admin.page("/edit").elements if tag == "a" and "file=" in (a["href"] or "")]
    assert links == ["/edit?file=bread.yaml", "/edit?file=tea.yaml"]
    said = " ".join(Html(edit(admin, NEW.replace("house.", "house"), "preview").text).words.split())
    assert "added tea.warm Serving warm tea to a guest in the house removed tea.cold" in said
    assert "tea.warm: does not end with a full stop" in said
    assert "1 of the newest 1 queries that were kept would return other rules" in said
    assert "1 x serving tea: +tea.warm -tea.cold" in said
    said = " ".join(Html(edit(admin, OLD.replace("cold tea", "cool tea"), "preview").text).words.split())
    assert "before tea.cold Serving cold tea" in said and "after tea.cold Serving cool tea" in said
    assert "No rule is another." in Html(edit(admin, OLD, "preview").text).words
    assert on_disk(tmp_path) == before


def test_a_published_file_comes_into_force(admin: Admin, tmp_path: Path) -> None:
    books, mode = admin.served.gateway.books, 0o640
    first, file = books.pin("default").version, tmp_path / "rules" / "tea.yaml"
    file.chmod(mode)
    reply = edit(admin, NEW)
    assert reply.status_code == 200 and "Published." in reply.text
    assert file.read_text() == NEW and file.stat().st_mode & 0o777 == mode
    until(lambda: books.pin("default").version != first)
    admin.served.script.bodies.clear()
    assert ask(admin).json()["ascl"]["consultations"][0]["rules"][0]["id"] == "tea.warm"
    again = Html(reply.text)
    form = {"file": "tea.yaml", "text": OLD, "opened": again.hidden("opened"), "do": "publish"}
    assert "Published." in admin.post("/edit", form).text, "the page that said so can go on"
    assert file.read_text() == OLD


def test_what_was_changed_meanwhile_is_not_written_over(admin: Admin, tmp_path: Path) -> None:
    file = tmp_path / "rules" / "tea.yaml"
    opened = admin.page("/edit?file=tea.yaml").hidden("opened")
    theirs = OLD.replace("cold tea", "green tea")
    file.write_text(theirs)
    form = {"file": "tea.yaml", "text": NEW, "opened": opened, "do": "publish"}
    reply = admin.post("/edit", form)
    assert reply.status_code == 409
    assert "green tea" in reply.text and "warm tea" in reply.text
    assert file.read_text() == theirs
    assert admin.post("/edit", form | {"opened": Html(reply.text).hidden("opened")}).status_code == 409
    assert admin.post("/edit", form | {"opened": ""}).status_code == 409


@pytest.mark.parametrize(
    "bad",
    [
        "rules: [",
        "",
        "category: tea\nrules: x\n",
        "category: tea\nrules:\n- {id: bread.old, text: Twice.}\n",
        "a\0b",
        "category: tea\nrules:\n- {id: Tea, text: A.}\n",
        "[" * 10_000,
        "a: &a [x]\nb: *c\n",
    ],
)
def test_what_cannot_be_read_is_not_published(admin: Admin, tmp_path: Path, bad: str) -> None:
    before, pinned = on_disk(tmp_path / "rules"), admin.served.gateway.books.pin("default")
    for do in ("preview", "publish"):
        reply = edit(admin, bad, do)
        assert reply.status_code == 400
        assert "Nothing was written" in reply.text
        assert str(tmp_path) not in Html(reply.text).words and "/tmp" not in Html(reply.text).words
    assert on_disk(tmp_path / "rules") == before
    assert admin.served.gateway.books.pin("default") is pinned


def test_a_broken_file_can_be_mended(admin: Admin, tmp_path: Path) -> None:
    file, books = tmp_path / "rules" / "tea.yaml", admin.served.gateway.books
    file.write_text("rules: [")
    until(lambda: "default" in books.problem)
    assert "the last good version stays" in admin.page("/").words
    assert "Published." in edit(admin, NEW).text
    until(lambda: not books.problem)
    assert books.pin("default").tool.book.rules[-1].id == "tea.warm"


@pytest.mark.parametrize(
    "name",
    ["../gateway/keys.jsonl", "/etc/passwd", "tea.yaml/../../x.yaml", "./tea.yaml", "TEA.YAML", "..", ".", "new.yaml",
     "..\\x.yaml", "%2e%2e/x.yaml", "tea.yaml\0", "notes.txt", ".hidden.yaml"],
)  # fmt: skip
def test_no_other_file_can_be_reached(admin: Admin, tmp_path: Path, name: str) -> None:
    for other in (tmp_path / "x.yaml", tmp_path / "rules" / "notes.txt", tmp_path / "rules" / ".hidden.yaml"):
        other.write_text("SECRET: 1\n")
    before = on_disk(tmp_path)
    reply = admin.client.get("/edit", params={"file": name})
    assert reply.status_code == 404 and "SECRET" not in reply.text
    reply = admin.post("/edit", {"file": name, "text": NEW, "opened": "", "do": "publish"})
    assert reply.status_code == 404 and "SECRET" not in reply.text
    assert on_disk(tmp_path) == before


@pytest.mark.parametrize(
    "text", [OLD, f"\n\n# first\n{OLD}", OLD.replace("\n", "\r\n"), OLD + "# \u00e9 \u6f22 &amp; </textarea>\n"]
)
def test_a_text_comes_back_as_it_was(serving: Serve, tmp_path: Path, text: str) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_bytes(text.encode())
    with administered(serving, rules=str(rules)) as admin:
        page = admin.client.get("/edit").text
        shown = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
        assert shown is not None
        text = text.replace("\r\n", "\n")
        sent = Html(shown[1]).words
        assert sent == text
        form = {"file": "rules.yaml", "text": sent.replace("\n", "\r\n"), "opened": Html(page).hidden("opened")}
        assert admin.post("/edit", form | {"do": "publish"}).status_code == 200
        assert rules.read_bytes().decode() == text


@pytest.mark.parametrize("name", ["rules.csv", "rules.md", "default"])
def test_other_rules_are_not_edited_here(serving: Serve, tmp_path: Path, name: str) -> None:
    rules = tmp_path / name
    rules.write_text(
        {"rules.csv": "id,category,text\ntea.cold,tea,Serving cold tea.\n"}.get(name, "- Serving cold tea.\n")
    )
    with administered(serving, rules="default" if name == "default" else str(rules)) as admin:
        assert "are not edited here" in admin.page("/edit").words
        for file in (name, "weapons.yaml"):
            admin.page(f"/edit?file={file}", 404)


def test_a_file_too_long_for_a_form_is_not_opened(admin: Admin, tmp_path: Path) -> None:
    (tmp_path / "rules" / "tea.yaml").write_text(OLD + "# \u6f22\n" * (LONGEST_FORM // 12))
    assert "too long to be edited here" in admin.page("/edit?file=tea.yaml", 400).words


def test_signed_rules_come_into_force_when_they_are_signed(serving: Serve, tmp_path: Path) -> None:
    rules, key = tmp_path / "rules.yaml", tmp_path / "policy.pem"
    rules.write_text(OLD)
    public = make_signing_key(key)
    sign(rules, load_rules(rules), key)
    with administered(serving, rules=str(rules), trust=public) as admin:
        books, first = admin.served.gateway.books, admin.served.gateway.books.pin("default")
        page = admin.page("/edit")
        assert "ascl rules sign" in page.words
        form = {"file": "rules.yaml", "text": NEW, "opened": page.hidden("opened"), "do": "publish"}
        assert "come into force once they are signed" in admin.post("/edit", form).text
        until(lambda: "default" in books.problem)
        assert books.pin("default") is first
        sign(rules, load_rules(rules), key)
        until(lambda: books.pin("default") is not first)
