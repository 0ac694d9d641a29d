"""The admin page in a browser: nothing goes wrong, nothing is wider than a phone, and keys are enough."""

from pathlib import Path

import pytest
from administered import NEW, PASSWORD, Admin, ask
from chromium import Browser

from ascl.serve.keys import make_key
from ascl.serve.run import KEYS

PLACES = (
    "/",
    "/rules",
    "/rules?q=cold+tea",
    "/edit",
    "/edit?file=tea.yaml",
    "/records",
    "/records/2",
    "/keys",
    "/none",
)
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
COLOURS = """[...document.querySelectorAll('body *')].filter((node) => node.innerText).map((node) => {
  const style = getComputedStyle(node);
  let under = node;
  while (under && getComputedStyle(under).backgroundColor === 'rgba(0, 0, 0, 0)') under = under.parentElement;
  return [style.color, getComputedStyle(under || document.documentElement).backgroundColor];
})"""


def sign_in(browser: Browser, admin: Admin) -> None:
    browser.visit(admin.url)
    assert browser.value("document.querySelector('[autofocus]').id") == "password"
    browser.value(f"document.querySelector('#password').value = {PASSWORD!r}")
    browser.follow("document.querySelector('button').click()")
    assert browser.value("document.querySelector('h1').textContent") == "Overview"


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2, from `rgb(..)`."""
    parts = [float(part) / 255 for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_is_wide_enough_and_texts_can_be_read(admin: Admin, browser: Browser, scheme: str) -> None:
    assert ask(admin).status_code == 200
    make_key(admin.served.folder / KEYS, "a_tenant_" * 7)
    admin.served.gateway.keys.load()
    browser.send("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=True)
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    sign_in(browser, admin)
    for place in PLACES:
        browser.visit(admin.url + place)
        assert browser.value(WIDER) is False, place
        for ink, paper in browser.value(COLOURS):
            light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (place, ink, paper)
    paper = browser.value("getComputedStyle(document.documentElement).backgroundColor")
    assert (luminance(paper) > 0.5) == (scheme == "light")
    assert [one for one in browser.problems if "404" not in one] == []
    assert all(url.startswith(f"{admin.url}/") for url in browser.requests)


def test_an_edit_is_published_by_keys_alone(admin: Admin, browser: Browser, tmp_path: Path) -> None:
    sign_in(browser, admin)
    browser.visit(f"{admin.url}/edit?file=tea.yaml")
    seen = []
    for _ in range(12):
        browser.press("Tab")
        seen.append(browser.value("document.activeElement.textContent.trim().split('\\n')[0]"))
    assert seen[:7] == ["To the page", "Overview", "Rules", "Edit", "Records", "Keys", "Sign out"]
    assert seen[7:10] == ["category: tea", "Preview", "Publish"]
    browser.value(f"document.querySelector('#text').value = {NEW!r}; document.querySelector('[value=preview]').focus()")
    browser.follow("document.activeElement.click()")
    assert "tea.warm" in browser.value("document.querySelector('ul').textContent")
    assert (tmp_path / "rules" / "tea.yaml").read_text() != NEW
    browser.follow("document.querySelector('[value=publish]').click()")
    assert "Published." in browser.value("document.querySelector('[role=status]').textContent")
    assert (tmp_path / "rules" / "tea.yaml").read_text() == NEW
    browser.visit(f"{admin.url}/keys")
    browser.value("document.querySelector('#tenant').value = 'team'")
    browser.follow("[...document.querySelectorAll('button')].at(-1).click()")
    assert "sk-ascl-" in browser.value("document.querySelector('[role=status]').textContent")
    browser.follow("document.querySelector('[aria-label^=Revoke]').click()")
    assert "nobody may ask" in browser.value("document.querySelector('table').textContent")
    browser.follow("document.querySelector('header button').click()")
    assert browser.value("location.pathname") == "/sign-in"
    assert browser.problems == []


def test_another_site_cannot_send_a_form(admin: Admin, browser: Browser) -> None:
    """A page of another origin on this machine: cookies know no ports, so the browser sends the session's."""
    sign_in(browser, admin)
    token = admin.page("/").hidden("token")
    browser.visit(f"{admin.served.url}/healthz")
    form = f"""(() => {{ const form = document.createElement('form');
      form.method = 'post'; form.action = '{admin.url}/keys';
      for (const [name, value] of Object.entries({{token: {token!r}, tenant: 'x', form: 'ascl', show: 'all'}})) {{
        const field = document.createElement('input'); field.name = name; field.value = value; form.append(field);
      }}
      document.body.append(form); form.submit(); }})()"""
    browser.follow(form)
    assert "came from another site" in browser.value("document.body.textContent")
    assert not (admin.served.folder / KEYS).exists()
