"""The tables of the page: the figures with the paper's, those by benchmark, what was compared, what to read first."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from ascl.report.figures import METRICS, OUTCOMES, Metric, cell, columns
from ascl.report.gather import AXES, Shown, benchmarks_by_axis
from ascl.report.markup import Markup, element, join
from ascl.report.published import JUDGE, PUBLISHED, SIZES, SOURCE, PublishedRow
from ascl.stats import finite

_ABOUT = {"Model": "roomy", "Judge": "roomy", "Rule book": "unbroken", "Date": "unbroken", "Versions": "roomiest"}
_ARROWS = {"up": "↑", "down": "↓", "": ""}
_TALL = 40  # rows beyond which a table scrolls in a frame of its own


def framed(table: Markup, name: str, rows: int = 0) -> Markup:
    """A table that scrolls sideways, and downwards too where it is long."""
    return element(
        "div", table, class_="wide tall" if rows > _TALL else "wide", tabindex=0, role="region", aria_label=name
    )


def plain(value: Any) -> str:
    """Any JSON value in one line."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return " · ".join(f"{key} {plain(item)}" for key, item in value.items()) or "–"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(plain(item) for item in value) or "–"
    return str(value)


def _head(first: str, shown: Sequence[Metric]) -> Markup:
    groups: list[Markup] = [element("th", first, scope="col", rowspan=2, class_="variant")]
    for group, members in groupby(shown, key=lambda metric: metric.group):
        groups.append(element("th", group, scope="colgroup", colspan=len(list(members)), class_="group"))
    heads = [element("th", metric.label, element("i", _ARROWS[metric.better]), scope="col") for metric in shown]
    return element("thead", element("tr", *groups), element("tr", *heads))


def _name(one: Shown) -> Markup:
    hint = f"mean over {one.seeds} seeds" if one.seeds > 1 else None
    return element("th", one.name, scope="row", class_=f"variant dot {one.colour}", title=hint)


def best(shown: Sequence[Shown]) -> str | None:
    """The name of the row with the highest H-avg, or None where fewer than two have one."""
    scores = {one.name: e.value for one in shown if (e := one.summary.get("h_avg")) and e.value is not None}
    return max(scores, key=lambda name: scores[name]) if len(scores) > 1 else None


def _published_row(row: PublishedRow, count: int) -> Markup:
    def shown(value: float | None) -> Markup:
        return element("td", "–", class_="none") if value is None else element("td", f"{value:.2f}")

    head = element(
        "th", row.method, element("small", row.remark) if row.remark else None, scope="row", class_="variant"
    )
    values = [shown(value) for value in (row.h_avg, row.separation, row.safety, row.over_refusal, row.reasoning)]
    return element("tr", head, *values, *(element("td") for _ in range(count - len(values))))


def summary(shown: Sequence[Shown]) -> Markup | None:
    """Rows by figures with intervals; below them the paper's rows, quoted. None where nothing was evaluated."""
    if not shown:
        return None
    heads = [*OUTCOMES, *(one for one in columns(one.summary for one in shown) if one not in OUTCOMES)]
    winner = best(shown)
    rows = []
    for one in shown:
        wins = one.name == winner
        cells = [
            cell(one.summary.get(metric.key), metric, best=wins and metric.key == "h_avg", seeds=one.seeds)
            for metric in heads
        ]
        rows.append(element("tr", _name(one), *cells, class_="winner" if wins else None))
    bodies = [element("tbody", *rows)]
    for size in SIZES:
        title = f"Quoted from {SOURCE}: Qwen3-{size}, judged by {JUDGE}. Not measured here."
        quoted = [_published_row(row, len(heads)) for row in PUBLISHED if row.size == size]
        heading = element("tr", element("th", element("span", title), scope="rowgroup", colspan=len(heads) + 1))
        bodies.append(element("tbody", heading, *quoted, class_=f"quoted size-{size}"))
    return framed(element("table", _head("Name", heads), *bodies), "Figures by axis", len(rows))


def by_benchmark(shown: Sequence[Shown]) -> Markup | None:
    """Benchmarks and evaluations by figures, or None where there are none."""
    figures = {(one.name, name): one.figures(name) for one in shown for name in one.results.benchmarks}
    heads = columns(figures.values()) or list(METRICS[:1])
    bodies, count = [], 0
    for axis, benchmarks in benchmarks_by_axis(shown).items():
        for benchmark in benchmarks:
            title = element(
                "th", element("span", benchmark, element("i", AXES[axis])), scope="rowgroup", colspan=len(heads) + 1
            )
            rows = [element("tr", title, class_="heading")]
            for one in shown:
                given = figures.get((one.name, benchmark), {})
                head = element("th", one.name, scope="row", class_=f"variant dot {one.colour}")
                rows.append(element("tr", head, *(cell(given.get(metric.key), metric) for metric in heads)))
            count += len(rows)
            bodies.append(element("tbody", *rows))
    if not bodies:
        return None
    return framed(element("table", _head("Benchmark", heads), *bodies), "Figures by benchmark", count)


def evaluations(shown: Sequence[Shown]) -> Markup | None:
    """What was asked of whom: a row per evaluation, and below what is the same for all; None without any."""
    if not shown:
        return None
    about: list[dict[str, str]] = []
    for one in shown:
        asked = one.evaluation
        served = f" at {asked.base_url}" if asked.base_url else ""
        given = {
            "Model": asked.model + served,
            "Variant": asked.variant,
            "Suite": asked.suite,
            "Judge": one.results.judge,
            "Reward judge": asked.reward_judge,
            "Rule book": str(asked.rule_book.get("hash") or "")[:12],
            "Date": asked.created[:10],
            "Machine": asked.machine,
            "Versions": asked.versions,
        }
        about.append({head: plain(value) for head, value in given.items()})
    common = [head for head in about[0] if len(shown) > 1 and len({row[head] for row in about}) == 1]
    heads = [head for head in about[0] if head not in common]
    rows = []
    for one, row in zip(shown, about, strict=True):
        name = element("th", one.name, scope="row", class_=f"variant dot {one.colour}")
        rows.append(element("tr", name, *(element("td", row[head], class_=_ABOUT.get(head)) for head in heads)))
    names = (element("th", text, scope="col") for text in heads)
    head = element("tr", element("th", "Evaluation", scope="col", class_="variant"), *names)
    table = element("table", element("thead", head), element("tbody", *rows), class_="about-table")
    same = "; ".join(f"{head.lower()} {about[0][head]}" for head in common if about[0][head] != plain(None))
    note = element("p", f"The same for all: {same}.", class_="note") if same else None
    return join(framed(table, "Evaluations", len(rows)), note)


def warnings(shown: Sequence[Shown], general: Sequence[str]) -> Markup | None:
    """What must be read before the figures, or None where there is nothing. Each is said once."""
    given: dict[str, list[str]] = {}  # a warning, and whom it is about
    for one in shown:
        for warning in one.results.warnings:
            if not any(text.endswith(warning) for text in general):
                given.setdefault(warning, []).append(one.name)
    if not general and not given:
        return None
    items = [element("li", text) for text in general]
    for warning, names in given.items():
        whom = "All" if len(names) == len(shown) > 1 else ", ".join(names)
        items.append(element("li", element("strong", whom), ": ", warning))
    return element("ul", *items, class_="warnings")


def agreement(shown: Sequence[Shown]) -> Markup | None:
    """How far the judges of an evaluation agree, or None where one judge alone was asked."""
    of_each = ("Safe: agree", "kappa", "Refusal: agree", "kappa", "Unjudged")
    heads = ("First judge", "Second judge", "n", *of_each)
    rows = []
    for one in shown:
        for found in one.results.agreement:
            figures = (
                _figure(found.safe, 100, 1),
                _figure(found.safe_kappa, 1, 3),
                _figure(found.refusal, 100, 1),
                _figure(found.refusal_kappa, 1, 3),
                _figure(found.unjudged, 100, 1),
            )
            texts = (found.first, found.second, f"{found.n:,}", *figures)
            head = element("th", one.name, scope="row", class_="variant")
            rows.append(element("tr", head, *(element("td", text) for text in texts)))
    if not rows:
        return None
    names = [element("th", text, scope="col") for text in heads]
    head = element("tr", element("th", "Evaluation", scope="col", class_="variant"), *names)
    table = element("table", element("thead", head), element("tbody", *rows))
    return join(element("h3", "Agreement of judges"), framed(table, "Agreement of judges", len(rows)))


def _figure(value: float | None, scale: float, digits: int) -> str:
    """A number with a minus sign as long as a plus, or a dash."""
    drawn = finite(value)
    return "–" if drawn is None else f"{scale * drawn:.{digits}f}".replace("-", "−")
