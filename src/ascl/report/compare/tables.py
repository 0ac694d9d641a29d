"""The tables of the comparison: what was compared, the figures by axis with the paper's, and those by benchmark."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from ascl.report.compare.gather import AXES, Compared, benchmarks_by_axis
from ascl.report.compare.published import JUDGE, PUBLISHED, SIZES, SOURCE, PublishedRow
from ascl.report.markup import Markup, element, join
from ascl.report.names import Metric
from ascl.report.tables import cell, plain
from ascl.stats import Estimate, finite

_SUMMARY = (
    Metric("h_avg", "H-avg", "Outcome", "up"),
    Metric("safety", "Safety", "Outcome", "up"),
    Metric("over_refusal", "Over-refusal", "Outcome", "down"),
    Metric("reasoning", "Reasoning", "Outcome", "up"),
    Metric("consult_safety", "Safety", "Consult rate by axis"),
    Metric("consult_over_refusal", "Over-refusal", "Consult rate by axis"),
    Metric("consult_reasoning", "Reasoning", "Consult rate by axis"),
    Metric("selectivity", "Selectivity", "Consult rate by axis", "up"),
    Metric("tokens", "Tokens", "Cost", percent=False),
    Metric("turns", "Turns", "Cost", percent=False, digits=2),
)
_ABOUT = {"Model": "roomy", "Judge": "roomy", "Rule book": "unbroken", "Date": "unbroken", "Versions": "roomiest"}
_BENCHMARK = (
    Metric("score", "Score", "Outcome"),
    Metric("consulted", "Consults", "Consultation"),
    Metric("score_consulted", "Score with", "Consultation"),
    Metric("score_direct", "Score without", "Consultation"),
    Metric("truncated", "Truncated", "Neither"),
    Metric("empty", "Empty", "Neither"),
    Metric("malformed", "Malformed", "Neither"),
    Metric("turn_limit", "Turn limit", "Neither"),
    Metric("unparsed", "Unparsed", "Neither"),
    Metric("unjudged", "Unjudged", "Neither"),
    Metric("off_topic", "Off-topic", "Neither"),
    Metric("length", "Cut", "Other"),
    Metric("partly_refused", "Partly refused", "Other"),
    Metric("faults", "Faults", "Other"),
    Metric("hallucinated", "Halluc.", "Other"),
    Metric("tokens", "Tokens", "Other", percent=False),
    Metric("turns", "Turns", "Other", percent=False, digits=2),
)
_ARROWS = {"up": "↑", "down": "↓", "": ""}
_TALL = 40  # rows beyond which a table scrolls in a frame of its own


def framed(table: Markup, name: str, rows: int) -> Markup:
    """A table that scrolls sideways, and downwards too where it is long."""
    return element(
        "div", table, class_="wide tall" if rows > _TALL else "wide", tabindex=0, role="region", aria_label=name
    )


def _with_unknown(known: Sequence[Metric], figures: Iterable[Mapping[str, Estimate | None]]) -> list[Metric]:
    """The columns, and after them those of figures the page does not know by name."""
    keys = {metric.key for metric in known}
    extra = dict.fromkeys(key for mapping in figures for key in mapping if key not in keys)
    return [*known, *(Metric(key, key, "Other") for key in extra)]


def _head(first: str, columns: Sequence[Metric]) -> Markup:
    groups: list[Markup] = [element("th", first, scope="col", rowspan=2, class_="variant")]
    for group, members in groupby(columns, key=lambda metric: metric.group):
        groups.append(element("th", group, scope="colgroup", colspan=len(list(members)), class_="group"))
    heads = [element("th", metric.label, element("i", _ARROWS[metric.better]), scope="col") for metric in columns]
    return element("thead", element("tr", *groups), element("tr", *heads))


def evaluations(compared: Sequence[Compared], colours: Mapping[str, str]) -> Markup:
    """What was asked of whom: a row per evaluation, and below what is the same for all."""
    about: list[dict[str, str]] = []
    for one in compared:
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
    common = [head for head in about[0] if len(compared) > 1 and len({row[head] for row in about}) == 1]
    heads = [head for head in about[0] if head not in common]
    rows = []
    for one, row in zip(compared, about, strict=True):
        name = element("th", one.name, scope="row", class_=f"variant dot {colours[one.name]}")
        rows.append(element("tr", name, *(element("td", row[head], class_=_ABOUT.get(head)) for head in heads)))
    head = element("tr", *(element("th", text, scope="col") for text in ("Evaluation", *heads)))
    table = element("table", element("thead", head), element("tbody", *rows), class_="about-table")
    same = "; ".join(f"{head.lower()} {about[0][head]}" for head in common if about[0][head] != plain(None))
    note = [element("p", f"The same for all: {same}.", class_="note")] if same else []
    return join(framed(table, "Evaluations", len(rows)), *note)


def _published_row(row: PublishedRow, columns: int) -> Markup:
    def shown(value: float | None) -> Markup:
        return element("td", "–", class_="none") if value is None else element("td", f"{value:.2f}")

    head = element(
        "th", row.method, element("small", row.remark) if row.remark else None, scope="row", class_="variant"
    )
    values = [shown(value) for value in (row.h_avg, row.safety, row.over_refusal, row.reasoning)]
    return element("tr", head, *values, *(element("td") for _ in range(columns - 4)))


def summary(compared: Sequence[Compared], colours: Mapping[str, str]) -> Markup:
    """Evaluations by figures with intervals; below them the paper's rows, quoted."""
    columns = _with_unknown(_SUMMARY, [one.summary for one in compared])
    rows = []
    for one in compared:
        figures = one.summary
        cells = [cell(figures.get(metric.key), metric, best=False) for metric in columns]
        rows.append(
            element("tr", element("th", one.name, scope="row", class_=f"variant dot {colours[one.name]}"), *cells)
        )
    bodies = [element("tbody", *rows)]
    for size in SIZES:
        title = f"Quoted from {SOURCE}: Qwen3-{size}, judged by {JUDGE}. Not measured here."
        quoted = [_published_row(row, len(columns)) for row in PUBLISHED if row.size == size]
        heading = element("tr", element("th", element("span", title), scope="rowgroup", colspan=len(columns) + 1))
        bodies.append(element("tbody", heading, *quoted, class_=f"quoted size-{size}"))
    return framed(element("table", _head("Evaluation", columns), *bodies), "Figures by axis", len(rows))


def by_benchmark(compared: Sequence[Compared], colours: Mapping[str, str]) -> Markup | None:
    """Benchmarks and evaluations by figures, or None where there are none."""
    figures = {(one.name, name): one.figures(name) for one in compared for name in one.results.benchmarks}
    columns = _with_unknown(_BENCHMARK, figures.values())
    bodies, count = [], 0
    for axis, benchmarks in benchmarks_by_axis(compared).items():
        for benchmark in benchmarks:
            title = element(
                "th", element("span", benchmark, element("i", AXES[axis])), scope="rowgroup", colspan=len(columns) + 1
            )
            rows = [element("tr", title, class_="heading")]
            for one in compared:
                given = figures.get((one.name, benchmark), {})
                head = element("th", one.name, scope="row", class_=f"variant dot {colours[one.name]}")
                cells = [cell(given.get(metric.key), metric, best=False) for metric in columns]
                rows.append(element("tr", head, *cells))
            count += len(rows)
            bodies.append(element("tbody", *rows))
    if not bodies:
        return None
    table = element("table", _head("Benchmark", columns), *bodies)
    return framed(table, "Figures by benchmark", count)


def warnings(compared: Sequence[Compared], general: Sequence[str]) -> Markup | None:
    """What must be read before the figures, or None where there is nothing."""
    given: dict[str, list[str]] = {}  # a warning, and whom it is about
    for one in compared:
        for warning in one.results.warnings:
            given.setdefault(warning, []).append(one.name)
    if not general and not given:
        return None
    items = [element("li", text) for text in general]
    for warning, names in given.items():
        whom = "All" if len(names) == len(compared) > 1 else ", ".join(names)
        items.append(element("li", element("strong", whom), ": ", warning))
    return element("ul", *items, class_="warnings")


def agreement(compared: Sequence[Compared]) -> Markup | None:
    """How far the judges of an evaluation agree, or None where one judge alone was asked."""
    of_each = ("Safe: agree", "kappa", "Refusal: agree", "kappa", "Unjudged")
    heads = ("Evaluation", "First judge", "Second judge", "n", *of_each)
    rows = []
    for one in compared:
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
    names = [element("th", text, scope="col") for text in heads[1:]]
    head = element("tr", element("th", heads[0], scope="col", class_="variant"), *names)
    table = element("table", element("thead", head), element("tbody", *rows))
    return join(element("h3", "Agreement of judges"), framed(table, "Agreement of judges", len(rows)))


def _figure(value: float | None, scale: float, digits: int) -> str:
    """A number with a minus sign as long as a plus, or a dash."""
    drawn = finite(value)
    return "–" if drawn is None else f"{scale * drawn:.{digits}f}".replace("-", "−")
