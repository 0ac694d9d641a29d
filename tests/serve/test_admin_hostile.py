"""Texts that would be markup on the admin page are shown as they are: in rules, names, queries, records, files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from administered import PASSWORD, SAME, Admin, Html, administered
from chromium import Browser
from gateways import serve_in
from scripted import answers
from test_admin_trail import choice, request, write

from ascl.serve.keys import make_key
from ascl.serve.run import KEYS

PAYLOADS = [
    "<script>hit()</script>",
    "</script><script>hit()</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<script\n>hit()</script\n>",
    "<script/x>hit()</script>",
    "<svg><script>hit()</script></svg>",
    "<svg onload=hit()>",
    "<svg/onload=hit()//",
    "<img src=x onerror=hit()>",
    "<img src=x onerror='hit()'",
    '<img src="x" onerror="hit()">',
    "<<img src=x onerror=hit()>",
    "<img/src=`x`onerror=hit()>",
    "<body onload=hit()>",
    "<input autofocus onfocus=hit()>",
    "<select autofocus onfocus=hit()>",
    "<textarea autofocus onfocus=hit()>",
    "<video><source onerror=hit()>",
    "<audio src=x onerror=hit()>",
    "<details open ontoggle=hit()>",
    "<marquee onstart=hit()>",
    "<iframe src=javascript:hit()></iframe>",
    "<iframe srcdoc='<script>hit()</script>'>",
    "<object data=javascript:hit()>",
    "<embed src=javascript:hit()>",
    "<a href=javascript:hit()>x</a>",
    "<a href='data:text/html,<script>hit()</script>'>x</a>",
    "<form action=//evil.example><button>x</button></form>",
    "<button formaction=javascript:hit()>x</button>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import'//evil.example/x.css';</style>",
    "<style>*{display:none}</style>",
    "<math><mtext><table><mglyph><style><img src=x onerror=hit()>",
    "<template><script>hit()</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=hit()>'>",
    "<isindex type=image src=x onerror=hit()>",
    "<x onclick=hit()>x</x>",
    "<p style='position:fixed'>x</p>",
    '" onmouseover="hit()',
    "' onmouseover='hit()",
    '" autofocus onfocus="hit()" x="',
    '"><script>hit()</script>',
    "'><script>hit()</script>",
    "`><script>hit()</script>",
    '"/><svg onload=hit()>',
    "x onmouseover=hit()",
    "</textarea><script>hit()</script>",
    "</pre><script>hit()</script>",
    "</title><script>hit()</script>",
    "</code></li></ul></main><script>hit()</script>",
    "</option></select><script>hit()</script>",
    "</style><script>hit()</script>",
    "<!--><script>hit()</script>",
    "--><script>hit()</script><!--",
    "<![CDATA[><script>hit()</script>]]>",
    "<?xml version='1.0'?><script>hit()</script>",
    "&lt;script&gt;hit()&lt;/script&gt;",
    "&#60;script&#62;hit()&#60;/script&#62;",
    "&quot; onmouseover=&quot;hit()",
    "&NewLine;&Tab;&colon;&amp;amp;",
    "+ADw-script+AD4-hit()+ADw-/script+AD4-",
    "\uff1cscript\uff1ehit()\uff1c/script\uff1e",
    "{{ 7 * 7 }}{{ config }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "{# gone #}{{ session.token }}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "javascript:hit()",
    "\u202e<script>hit()</script>\u2028\u200b",
    "\U0001f600<script>hit()</script>",
    "\\x3cscript\\x3ehit()\\u003c/script\\u003e",
    "a&b<c>d\"e'f`g",
]
PLAIN = [f"plain {n}" for n in range(len(PAYLOADS))]


def file_of(number: int, text: str) -> str:
    """A file of rules (JSON is YAML) with one text wherever one may stand."""
    rule = {"id": f"r{number}.a", "text": text, "exempt": text}
    return json.dumps({"category": f"{number:03d} {text}", "title": text, "rules": [rule]}, ensure_ascii=False)


@contextmanager
def served(folder: Path, texts: list[str]) -> Iterator[Admin]:
    """An admin page of which every part is made of these texts: rules, files, keys, records, queries, names."""
    rules = folder / "rules"
    rules.mkdir(parents=True)
    entries = []
    for number, text in enumerate(texts):
        (rules / f"{number:03d} {text.replace('/', '|')[:50]}.yaml").write_text(file_of(number, text))
        make_key(folder / KEYS, text[:64])
        looked_up = [{"query": text, "top_k": 2, "rules": [[f"r{number}.a", 0.5], [text, 0.4]]}]
        stop, faults = f"{number:03d} {text}", [f"{number:03d} {text.replace(':', ';')}"]
        for entry in request(text, choice(stop=stop, consultations=looked_up, faults=faults)):
            entries.append(entry._replace(tenant=text[:64], texts=(text,) if entry.kind == "finished" else ()))
    write(folder, *entries)
    settings = {"rules": str(rules), "keep_queries": True}
    with administered(partial(serve_in, folder), answers("Yes."), **settings) as admin:
        admin.served.gateway.models[:] = texts
        admin.served.gateway.books.problem["default"] = " ".join(texts)
        yield admin


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Admin, Admin]]:
    """A page full of payloads, and one with plain texts in the same places."""
    with served(tmp_path / "hostile", PAYLOADS) as hostile, served(tmp_path / "plain", PLAIN) as plain:
        yield hostile, plain


def page(admin: Admin, path: str, **query: str) -> Html:
    reply = admin.client.get(path, params=query)
    assert reply.status_code == 200, reply.text
    return Html(reply.text)


def shown(text: str, found: Html) -> bool:
    """Whether a text stands on a page; rules are told without doubled blanks and line breaks."""
    return " ".join(text.split()) in " ".join(found.words.split())


def kinds(*pages: Html) -> set[tuple[str, tuple[str, ...]]]:
    """The elements of pages with the names of their attributes, each once."""
    return {(tag, tuple(names)) for page in pages for tag, names in page.shape}


def files_of(admin: Admin) -> list[str]:
    return sorted(path.name for path in Path(admin.served.gateway.books.sources["default"]).iterdir())


def test_no_text_becomes_markup(both: tuple[Admin, Admin]) -> None:
    for path in ("/", "/rules", "/edit", "/records", "/keys"):
        hostile, plain = (page(admin, path) for admin in both)
        assert hostile.shape == plain.shape, path
        assert [one for one in PAYLOADS if path in ("/", "/rules") and not shown(one, hostile)] == []
    names = list(zip(*map(files_of, both), strict=True))
    for number, text in enumerate(PAYLOADS):
        record = f"/records/{2 * number + 2}"
        hostile, plain = (page(admin, record) for admin in both)
        assert hostile.shape == plain.shape
        assert json.dumps(text, ensure_ascii=False) in hostile.words
        hostile, plain = (page(admin, "/edit", file=name) for admin, name in zip(both, names[number], strict=True))
        assert hostile.shape == plain.shape
        assert file_of(number, text) in hostile.words


def test_no_text_of_an_address_becomes_markup(both: tuple[Admin, Admin]) -> None:
    hostile, plain = both
    for text in PAYLOADS:
        found = page(hostile, "/rules", q=text)
        assert {"value": text}.items() <= next(given for _, given in found.elements if given.get("name") == "q").items()
        assert kinds(found) <= kinds(page(plain, "/rules", q="plain"), page(plain, "/rules", q="zebra"))
        found = page(hostile, "/records", tenant=text, kind=text)
        assert any(given.get("value") == text for _, given in found.elements)
        assert kinds(found) <= kinds(page(plain, "/records"), page(plain, "/records", tenant="x"))
        for path in (f"/{quote(text)}", f"/records/{quote(text, safe='')}", f"/edit?file={quote(text)}"):
            reply = hostile.client.get(path)
            assert reply.status_code == 404
            assert kinds(Html(reply.text)) <= kinds(plain.page("/records/x", 404))


def test_no_text_of_a_form_becomes_markup(tmp_path: Path) -> None:
    with served(tmp_path / "plain", PLAIN[:2]) as admin:
        name, token = files_of(admin)[0], admin.page("/").hidden("token")

        def sent(path: str, **form: str) -> Html:
            return Html(admin.client.post(path, data=form | {"token": token}, headers=SAME).text)

        def edited(text: str) -> Html:
            return sent("/edit", file=name, text=text, opened=text, do="preview")

        allowed = kinds(*(edited(text) for text in ("[", file_of(0, "other"), file_of(200, "plain 0"))))
        error = kinds(admin.page("/records/x", 404))
        for text in PAYLOADS:
            wrong = f"category: {text}\nrules: [{{id: {text}}}]"
            for edit in (file_of(0, text), file_of(200, text), f"{text}: [", wrong):
                found = edited(edit)
                assert kinds(found) <= allowed
                assert shown(edit, found)
            assert kinds(sent("/keys", tenant=text[:64], form=text, show=text)) <= error
        keys = {"form": "ascl", "show": "all"}
        made = kinds(sent("/keys", tenant="plain", **keys))
        assert all(kinds(sent("/keys", tenant=text[:64], **keys)) <= made for text in PAYLOADS)


def test_no_browser_runs_or_loads_anything(both: tuple[Admin, Admin], browser: Browser) -> None:
    admin, _ = both
    browser.visit(f"{admin.url}/sign-in")
    browser.value(f"document.querySelector('#password').value = {PASSWORD!r}")
    browser.follow("document.querySelector('button').click()")
    for path in ("/", "/rules", "/rules?q=script", "/edit", "/records", "/records/2", "/records/120", "/keys"):
        browser.visit(admin.url + path)
        assert browser.value("document.querySelectorAll('script, img, iframe, svg, style, [onerror]').length") == 0
        assert browser.value("document.querySelector('h1').textContent")
        assert browser.value("typeof hit") == "undefined"
        links = browser.value("[...document.querySelectorAll('a')].map((node) => node.href)")
        assert all(link.startswith(admin.url) for link in links)
    assert browser.problems == []
    assert all(url.startswith(f"{admin.url}/") for url in browser.requests)
