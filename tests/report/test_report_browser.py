"""The page in a browser: no error, no request, working filters and keys, and text that stays text."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from chromium import Browser
from run_files import HOSTILE, SEEN, UNSEEN, record, write_lines

from ascl.report.invisible import visible
from ascl.report.page import build_report

TITLE = "document.querySelector('#detail h3').textContent"
COUNT = "document.querySelector('#count').textContent"


def choose(browser: Browser, menu: str, words: str) -> str:
    """Choose the option of a menu whose text starts with `words`; the count that the list then shows."""
    browser.value(
        f"(() => {{ const menu = document.querySelector('#{menu}');"
        f"menu.value = [...menu.options].find((one) => one.textContent.startsWith('{words}')).value;"
        "menu.dispatchEvent(new Event('change')); })()"
    )
    return str(browser.value(COUNT))


def test_filters_and_keys(run_folder: Path, browser: Browser) -> None:
    browser.open(build_report(run_folder))
    assert browser.value(COUNT) == "336 of 336"
    assert choose(browser, "set", "IFPO rollouts") == "48 of 336"
    assert choose(browser, "kind", "harmful") == "12 of 336"
    assert choose(browser, "consulted", "yes") == "4 of 336"
    assert choose(browser, "outcome", "safe") == "4 of 336"
    browser.press("j")
    assert browser.value("document.activeElement.id") == "list"
    assert browser.value(TITLE) == "harmful-00012"
    browser.press("ArrowDown")
    assert browser.value(TITLE) == "harmful-00024"
    browser.press("k")
    browser.press("Home")
    assert browser.value(TITLE) == "harmful-00000"
    assert browser.value("document.querySelector('[aria-selected=true] .row-title').textContent").startswith(
        "Question 0"
    )
    browser.press("/")
    assert browser.value("document.activeElement.id") == "search"
    for key in "QUESTION 24":
        browser.press(key)
    browser.value("new Promise((done) => setTimeout(done, 300))")
    assert browser.value(COUNT) == "1 of 336" and browser.value(TITLE) == "harmful-00024"
    steps = browser.value("[...document.querySelectorAll('#detail h4')].map((node) => node.textContent)")
    first = ["Prompt", "Thought 1", "Tool call", "Tool reported a fault"]
    second = ["Thought 2", "Tool call", "Rules returned", "Thought 3", "Answer"]
    assert steps == [*first, *second, "Faults", "Verdict", "Reward"]
    browser.value("document.querySelector('#reset').click()")
    assert browser.value(COUNT) == "336 of 336" and browser.value(TITLE) == "harmful-00024"
    assert browser.problems == []
    assert [url for url in browser.requests if not url.startswith("file:")] == []


def test_hostile_text_stays_text(run_folder: Path, browser: Browser) -> None:
    roles = ("prompt", "thought", "second", "answer", "query", "system", "rule", "fault", "reason")
    rows = [record("pure", 3 * index, texts=dict.fromkeys(roles, text)) for index, text in enumerate(HOSTILE)]
    for row, text in zip(rows, HOSTILE, strict=True):
        row["prompt"]["id"] = row["prompt"]["category"] = text
    write_lines(run_folder / "data" / "eval" / "pure.jsonl", rows)
    browser.open(build_report(run_folder))
    scripts = browser.value("document.scripts.length")
    choose(browser, "set", "Pure")
    browser.value("select(0)")
    seen = set()
    for _ in HOSTILE:
        shown = browser.value("document.querySelector('.step.answer .prose').textContent")
        assert shown in HOSTILE or "[U+" in shown
        seen.add(shown)
        assert browser.value("document.querySelectorAll('#detail img, #detail script, #detail b').length") == 0
        browser.press("j")
    assert len(seen) == len(HOSTILE)
    assert browser.value("document.scripts.length") == scripts == 2
    assert browser.problems == []


def test_the_page_names_what_python_names(run_folder: Path, browser: Browser) -> None:
    browser.open(build_report(run_folder))
    texts = [*HOSTILE, *SEEN, *(f"a{char}b" for char in UNSEEN)]
    shown = browser.value(f"JSON.stringify({json.dumps(texts)}.map(visible))")
    assert json.loads(shown) == [visible(text) for text in texts]


def test_large_texts_and_long_lists(tmp_path: Path, browser: Browser, writer: Callable[..., Path]) -> None:
    run = writer(tmp_path / "run", prompts=1000, rollouts=1000)
    endless = {"answer": "x" * 1_000_000, "prompt": "first of all"}
    write_lines(run / "data" / "eval" / "pure.jsonl", [record("pure", 0, texts=endless)])
    browser.open(build_report(run))
    assert browser.value(COUNT) == "9,001 of 9,001"
    assert browser.value("document.querySelectorAll('.row').length") < 60
    choose(browser, "set", "Pure")
    browser.value("document.querySelector('#reset').click()")  # the record stays selected
    assert browser.value("document.querySelector('.answer .prose').textContent.length") < 5000
    browser.value("document.querySelector('.fold').click()")
    assert browser.value("document.querySelector('.answer .prose').textContent.length") == 1_000_000
    browser.press("j")
    browser.press("End")
    assert browser.value("document.querySelector('[aria-selected=true]').getAttribute('aria-posinset')") == "9001"
    browser.value("(() => { search.value = 'question 77'; refresh(); })()")
    assert browser.value(COUNT) != "9,001 of 9,001"
    assert browser.problems == []


def test_escape_clears_the_filter_with_the_box(run_folder: Path, browser: Browser) -> None:
    browser.open(build_report(run_folder))
    browser.press("/")
    for key in "question 24":
        browser.press(key)
    browser.value("refresh()")
    assert browser.value(COUNT) == "10 of 336"
    browser.press("Escape")
    assert browser.value("search.value") == "" and browser.value(COUNT) == "336 of 336"
    assert browser.value("document.activeElement.id") == "list"
    assert browser.problems == []


IN_SIGHT = """(() => {
  const frame = document.querySelector(".wide");
  const table = frame.querySelector("table");
  const heads = [...table.querySelectorAll("thead tr:last-child th")].slice(0, 3);
  const cells = [...heads, ...table.querySelector("tbody tr").children].slice(0, 7);
  const edge = frame.getBoundingClientRect().right;
  const inside = (box) => box.left >= 0 && box.right <= edge && box.bottom <= innerHeight;
  return [heads.map((node) => node.textContent), cells.map((node) => node.getBoundingClientRect()).every(inside)];
})()"""


@pytest.mark.parametrize("width", [400, 1280])
def test_the_three_figures_are_in_sight_and_wide_tables_say_that_they_scroll(
    run_folder: Path, browser: Browser, width: int
) -> None:
    browser.send("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    browser.open(build_report(run_folder))
    browser.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert browser.value(IN_SIGHT) == [["H-avg↑", "Safety↑", "Over-refusal↓"], True]
    assert browser.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    frame = "document.querySelector('#results .wide')"
    assert browser.value(f"{frame}.matches('[data-scrolls][data-more]')")
    assert "scrolls sideways" in browser.value(f"getComputedStyle({frame}, '::before').content")
    browser.value(f"new Promise((done) => {{ {frame}.onscroll = () => done(); {frame}.scrollLeft = 1e4; }})")
    assert browser.value(f"{frame}.matches('[data-scrolls]:not([data-more])')")
    assert browser.problems == []
