"""The page in a browser: no error, no request, answers side by side, rollouts, filters, keys, and many answers."""

import json
from pathlib import Path

import pytest
from chromium import Browser
from made_files import HOSTILE, SEEN, UNSEEN, answer, write_answers, write_evaluation, write_run

from ascl.evals.results import Axis
from ascl.report.invisible import visible
from ascl.report.page import build_page

COUNT = "document.querySelector('#count').textContent"
TITLE = "document.querySelector('#detail h3').textContent"
SIDES = "[...document.querySelectorAll('.side h3')].map((node) => node.textContent)"
OUTCOMES = "[...document.querySelectorAll('.side .about .badge')].map((node) => node.textContent)"
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def page_of(root: Path, folders: list[Path]) -> Path:
    return build_page(folders, root / "page.html")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("three")
    return page_of(root, three(root))


@pytest.fixture(scope="module")
def page_of_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_run(tmp_path_factory.mktemp("pages") / "run")
    return build_page([], run / "report.html", run)


def three(root: Path) -> list[Path]:
    """Bad answers: every third, every fourth, every sixth; the last evaluation was asked one benchmark only."""
    return [
        write_evaluation(root / "a", "pure", worse=3),
        write_evaluation(root / "b", "ascl", worse=4),
        write_evaluation(root / "c", "ifpo", worse=6, benchmarks={"xstest": "over_refusal"}),
    ]


def choose(browser: Browser, menu: str, words: str) -> str:
    """Choose the option of a menu whose text starts with `words`; the count that the list then shows."""
    browser.value(
        f"(() => {{ const menu = document.querySelector('#{menu}');"
        f"menu.value = [...menu.options].find((one) => one.textContent.startsWith('{words}')).value;"
        "menu.dispatchEvent(new Event('change')); })()"
    )
    return str(browser.value(COUNT))


def search_for(browser: Browser, words: str) -> str:
    """Type into the search field and wait for the list; the count it then shows."""
    browser.value(f"(async () => {{ search.value = {words!r}; await refresh(); }})()")
    return str(browser.value(COUNT))


def test_pairs_filters_and_keys(page: Path, browser: Browser) -> None:
    browser.open(page)
    assert browser.value(COUNT) == "48 of 48 prompts" and browser.value(SIDES) == ["pure", "ascl"]
    assert choose(browser, "benchmark", "strongreject") == "12 of 48 prompts"
    assert browser.value(OUTCOMES) == ["unsafe", "unsafe"]  # prompt 0 is bad in both
    assert choose(browser, "outcome-left", "unsafe") == "4 of 48 prompts"
    assert choose(browser, "outcome-right", "refused") == "3 of 48 prompts"
    browser.value("document.querySelector('#reset').click()")
    browser.value("document.querySelector('#differ').click()")
    assert browser.value(COUNT) == "20 of 48 prompts"  # of 12: 3, 6, 9 against 4, 8
    assert (
        browser.value("new Set([...document.querySelectorAll('.row .badges')].map((node) => node.textContent)).size")
        > 1
    )
    left, right = browser.value(OUTCOMES)
    assert left != right
    browser.value("document.querySelector('#reset').click()")
    assert choose(browser, "kind", "reasoning") == "12 of 48 prompts"
    assert choose(browser, "consulted", "both") == "4 of 48 prompts"
    browser.press("j")
    assert browser.value("document.activeElement.id") == "list"
    assert browser.value("document.querySelector('#list').matches(':focus-visible')")
    browser.press("End")
    last = browser.value(TITLE)
    browser.press("ArrowUp")
    browser.press("k")
    browser.press("Home")
    assert browser.value(TITLE) == "reasoning-00000" != last
    browser.press("/")
    assert browser.value("document.activeElement.id") == "search"
    for key in "question 4:":
        browser.press(key)
    browser.value("refresh()")
    assert browser.value(COUNT) == "0 of 48 prompts"  # the kind is still reasoning
    browser.press("Escape")
    assert browser.value("search.value") == "" and browser.value(COUNT) == "4 of 48 prompts"
    assert browser.value("document.activeElement.id") == "list"
    assert browser.problems == []
    assert [url for url in browser.requests if not url.startswith("file:")] == []


def test_both_answers_in_full(tmp_path: Path, browser: Browser) -> None:
    folders = three(tmp_path)
    texts = {"answer": "Only the second one says zebra.", "rule": "A rule on zebras."}
    write_answers(folders[1], "gsm8k", [answer("reasoning", place, good=True, texts=texts) for place in range(12)])
    browser.open(page_of(tmp_path, folders))
    assert search_for(browser, "says ZEBRA") == "12 of 48 prompts"
    browser.value("select(0)")
    steps = browser.value(
        "[...document.querySelectorAll('.side')]"
        ".map((side) => [...side.querySelectorAll('h4')].map((node) => node.textContent))"
    )
    first = ["Thought 1", "Tool call", "Tool reported a fault", "Thought 2", "Tool call", "Rules returned"]
    assert steps == [[*first, "Thought 3", "Answer", "Faults", "Verdict"]] * 2
    assert browser.value("document.querySelectorAll('#detail > .step.ask').length") == 1
    answers = browser.value("[...document.querySelectorAll('.side .answer .prose')].map((node) => node.textContent)")
    assert "zebra" not in answers[0] and answers[1] == texts["answer"]
    assert browser.value("document.querySelectorAll('.side .rules .rule-id').length") == 6
    browser.value("document.querySelector('#swap').click()")
    assert browser.value(SIDES) == ["ascl", "pure"]
    choose(browser, "right", "ifpo")
    assert search_for(browser, "") == "12 of 12 prompts"  # xstest is all they share
    assert choose(browser, "right", "none") == "48 of 48 prompts"
    assert browser.value(SIDES) == ["ascl"]
    assert choose(browser, "left", "ifpo") == "12 of 12 prompts"
    assert search_for(browser, "sensitive-00003") == "1 of 12 prompts"
    assert search_for(browser, "no such words") == "0 of 12 prompts"
    assert browser.value("document.querySelector('#detail').textContent") == "No prompt passes the filters."
    assert browser.problems == []


def test_base_of_the_differences_and_quoted_rows(page: Path, browser: Browser) -> None:
    browser.open(page)
    heads = "[...document.querySelectorAll('#differences-table thead th')].map((node) => node.textContent)"
    assert browser.value(heads) == ["Figure", "ascl", "ifpo"]
    choose(browser, "base", "ifpo")
    assert browser.value(heads) == ["Figure", "pure", "ascl"]
    shown = (
        "[...document.querySelectorAll('tbody.quoted, g.quoted')]"
        ".filter((node) => getComputedStyle(node).display !== 'none')"
        ".map((node) => node.classList[node.classList.length - 1])"
    )
    assert browser.value(shown) == ["size-4B", "size-4B"]
    browser.value("document.querySelector('#quoted-14B').click()")
    assert browser.value(shown) == ["size-14B", "size-14B"]
    browser.value("document.querySelector('#quoted-none').click()")
    assert browser.value(shown) == []
    assert browser.problems == []


def test_hostile_text_stays_text(tmp_path: Path, browser: Browser) -> None:
    roles = ("prompt", "thought", "second", "answer", "query", "system", "rule", "fault", "reason")
    folders = []
    for name in ("a", "b"):
        folder = write_evaluation(tmp_path / name, f"{name} {HOSTILE[0]}", prompts=len(HOSTILE), warnings=HOSTILE)
        rows = [
            answer("safety", place, good=True, consults=True, texts=dict.fromkeys(roles, text))
            for place, text in enumerate(HOSTILE)
        ]
        for (sampled, judged), text in zip(rows, HOSTILE, strict=True):
            sampled["prompt"]["id"] = sampled["trajectory"]["prompt_id"] = judged["id"] = text
        write_answers(folder, "strongreject", rows)
        folders.append(folder)
    browser.open(page_of(tmp_path, folders))
    scripts = browser.value("document.scripts.length")
    choose(browser, "benchmark", "strongreject")
    browser.value("select(0)")
    for text in HOSTILE:
        for shown in browser.value(
            "[...document.querySelectorAll('.side .answer .prose')].map((node) => node.textContent)"
        ):
            assert shown == text or "[U+" in shown
        assert browser.value("document.querySelectorAll('#detail img, #detail script, #detail b').length") == 0
        browser.press("j")
    assert browser.value("document.scripts.length") == scripts
    assert browser.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(page: Path, browser: Browser, scheme: str) -> None:
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(page)
    light = "(colour) => colour.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3"
    for place in ("body", ".side", "#list", "#caution", ".panel", "table"):
        ink = browser.value(f"({light})(getComputedStyle(document.querySelector('{place}')).color)")
        assert ink < 110 if scheme == "light" else ink > 145
    paper = browser.value(f"({light})(getComputedStyle(document.documentElement).backgroundColor)")
    assert paper > 240 if scheme == "light" else paper < 40
    assert browser.problems == []


def test_layout_holds_many_of_everything(tmp_path: Path, browser: Browser) -> None:
    axes: dict[str, Axis] = {
        f"a_benchmark_{place}": ("safety", "over_refusal", "reasoning")[place % 3] for place in range(60)
    }
    folders = [
        write_evaluation(
            tmp_path / str(place), f"evaluation-{place}-" + "x" * 60, prompts=1, benchmarks=axes, model="m" * 200
        )
        for place in range(4)
    ]
    page = page_of(tmp_path, folders)
    for width in (380, 1300):
        browser.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        browser.open(page)
        assert browser.value(WIDER) is False
        assert browser.value("document.querySelectorAll('.panel').length") == 60
        boxes = "[...document.querySelectorAll('.side')].map((node) => node.getBoundingClientRect())"
        assert browser.value(f"(([a, b]) => b.top >= a.bottom)({boxes})") is (width == 380)
    assert browser.problems == []


def test_ten_thousand_answers(tmp_path: Path, browser: Browser) -> None:
    filler = "A sentence of the reply. " * 20
    folders = [
        write_evaluation(tmp_path / "a", "first", prompts=1250, worse=3, filler=filler),
        write_evaluation(tmp_path / "b", "second", prompts=1250, worse=4, filler=filler),
    ]
    endless = [answer("safety", place, good=True, texts={"answer": "x" * 1_000_000}) for place in range(2)]
    for sampled, judged in endless[1:]:
        sampled["prompt"]["id"] = sampled["trajectory"]["prompt_id"] = judged["id"] = "the last"
    write_answers(folders[0], "strongreject", endless)
    page = page_of(tmp_path, folders)
    assert page.stat().st_size < min(20_000_000, sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl")))
    browser.open(page)
    assert browser.value(COUNT) == "3,751 of 3,751 prompts"  # one of strongreject and all of the other three
    assert browser.value("texts.parsed.filter(Boolean).length") < browser.value("texts.nodes.length") / 2
    assert browser.value("document.querySelectorAll('.row').length") < 60
    assert browser.value("document.querySelector('.side .answer .prose').textContent.length") < 5000
    browser.value("document.querySelector('.side .fold').click()")
    assert browser.value("document.querySelector('.side .prose').textContent.length") > 0
    browser.press("j")
    browser.press("End")
    assert browser.value("document.querySelector('[aria-selected=true]').getAttribute('aria-posinset')") == "3751"
    assert choose(browser, "benchmark", "gsm8k") == "1,250 of 3,751 prompts"
    assert search_for(browser, "question 4003:") == "1 of 3,751 prompts"
    assert browser.value(TITLE) == "reasoning-01000"
    browser.value("document.querySelector('#reset').click()")
    browser.value("document.querySelector('#differ').click()")
    assert browser.value(COUNT) != "3,751 of 3,751 prompts"
    assert browser.problems == []


def test_a_search_that_is_overtaken_gives_up(page: Path, browser: Browser) -> None:
    browser.open(page)
    counted = browser.value(
        "(async () => { search.value = 'question 4:'; const first = refresh();"
        f"search.value = ''; await refresh(); await first; return {COUNT}; }})()"
    )
    assert counted == "48 of 48 prompts"


def test_rollouts_of_a_run(page_of_run: Path, browser: Browser) -> None:
    browser.open(page_of_run)
    assert browser.value(COUNT) == "48 of 48 prompts"
    beside = "[...document.querySelectorAll('.siblings button')].map((node) => node.firstChild.textContent)"
    left, right = browser.value(SIDES)
    assert len(browser.value(beside)) == 7 and left not in browser.value(beside) and right in browser.value(beside)
    selected = browser.value(TITLE)
    browser.value("document.querySelector('.siblings button:last-of-type').click()")
    assert browser.value(SIDES) == [left, "ifpo"] and browser.value(TITLE) == selected
    assert choose(browser, "left", "ifpo rollouts") == "48 of 48 prompts"
    assert browser.value(SIDES) == ["ifpo rollouts"]  # no answer of an evaluation stands beside a rollout
    assert choose(browser, "kind", "harmful") == "12 of 48 prompts"
    assert choose(browser, "consulted", "at least one") == "4 of 48 prompts"
    browser.press("j")
    browser.press("Home")
    browser.press("ArrowDown")
    assert browser.value(TITLE) == "harmful-00012"
    assert "step 0 · group 1" in browser.value("document.querySelector('#detail .about').textContent")
    assert browser.value("[...document.querySelectorAll('.siblings button')].length") == 8
    assert browser.value("document.querySelectorAll('.siblings [aria-current]').length") == 1
    browser.value("document.querySelector('.siblings button').click()")
    assert browser.value(TITLE) == "harmful-00008" and browser.value(COUNT) == "48 of 48 prompts"
    steps = browser.value("[...document.querySelectorAll('#detail h4')].map((node) => node.textContent)")
    assert steps[-2:] == ["Verdict", "Reward"]
    assert choose(browser, "right", "grpo rollouts") == "48 of 48 prompts"  # the same prompts at the same steps
    assert browser.value(SIDES) == ["ifpo rollouts", "grpo rollouts"]
    assert browser.problems == []
    assert [url for url in browser.requests if not url.startswith("file:")] == []


def test_the_page_names_what_python_names(page: Path, browser: Browser) -> None:
    browser.open(page)
    texts = [*HOSTILE, *SEEN, *(f"a{char}b" for char in UNSEEN)]
    shown = browser.value(f"JSON.stringify({json.dumps(texts)}.map(visible))")
    assert json.loads(shown) == [visible(text) for text in texts]


IN_SIGHT = """(() => {
  const table = document.querySelector("#figures table");
  const heads = [...table.querySelectorAll("thead tr:last-child th")].slice(0, 3);
  const cells = [...heads, ...table.querySelector("tbody tr").children].slice(0, 7);
  const edge = table.parentElement.getBoundingClientRect().right;
  const inside = (box) => box.left >= 0 && box.right <= edge && box.bottom <= innerHeight;
  return [heads.map((node) => node.textContent), cells.map((node) => node.getBoundingClientRect()).every(inside)];
})()"""


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("of_run", [False, True])
def test_what_is_in_sight_without_scrolling(
    page: Path, page_of_run: Path, browser: Browser, of_run: bool, width: int
) -> None:
    browser.send("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    browser.open(page_of_run if of_run else page)
    browser.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    picture = browser.value("document.querySelector('#trade-off svg').getBoundingClientRect().bottom")
    if width == 400:
        assert browser.value(IN_SIGHT) == [["H-avg↑", "Separation↑", "Safety↑"], True]
    else:
        assert picture <= 800
    assert browser.value(WIDER) is False
    frame = "document.querySelector('#figures .wide')"
    assert browser.value(f"{frame}.matches('[data-scrolls][data-more]')")
    assert "scrolls sideways" in browser.value(f"getComputedStyle({frame}, '::before').content")
    browser.value(f"new Promise((done) => {{ {frame}.onscroll = () => done(); {frame}.scrollLeft = 1e4; }})")
    assert browser.value(f"{frame}.matches('[data-scrolls]:not([data-more])')")
    name = browser.value(f"{frame}.querySelector('tbody th').getBoundingClientRect().left")
    assert 0 <= name <= browser.value(f"{frame}.getBoundingClientRect().left"), "the first column stays in sight"
    assert browser.problems == []
