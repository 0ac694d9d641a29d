"""The paired differences as tables: figures by evaluations, each against one base evaluation."""

from collections.abc import Mapping, Sequence

from ascl.evals.paired import PairedDifference
from ascl.evals.results import Axis
from ascl.report.compare.gather import AXES, Compared, benchmarks_by_axis
from ascl.report.compare.significance import LEVEL, Difference, against
from ascl.report.compare.tables import framed
from ascl.report.markup import Markup, element, join
from ascl.report.tables import shares_left_out

_SUMMARY = {"safety": "Safety", "over_refusal": "Over-refusal", "reasoning": "Reasoning", "h_avg": "H-avg"}


def _signed(value: float | None) -> str:
    """A difference of shares in percentage points, or a dash."""
    return "–" if value is None else f"{100 * value:+.1f}".replace("-", "−")


def _p(value: float | None) -> str:
    if value is None:
        return "no test"
    return "p < 0.001" if value < 0.001 else f"p {value:.3f}"


def _mark(found: Difference) -> str:
    if found.p is None or found.p >= LEVEL:
        return ""
    return "**" if found.corrected is not None and found.corrected < LEVEL else "*"


def _cell(found: Difference | None, axis: str | None) -> Markup:
    """One difference with interval and p; coloured where it is significant and its axis says which way is better."""
    if found is None or found.estimate.value is None:
        return element("td", element("span", "–", class_="none"))
    mark = _mark(found)
    better = axis and ((found.estimate.value < 0) == (axis == "over_refusal"))
    tone = ("good" if better else "bad") if mark and axis and found.estimate.value else ""
    interval = None
    if found.estimate.low is not None and found.estimate.high is not None:
        interval = element("small", f"{_signed(found.estimate.low)} to {_signed(found.estimate.high)}")
    adjusted = "" if found.corrected is None else f", {_p(found.corrected)} after Holm"
    return element(
        "td",
        element("strong" if mark else "span", _signed(found.estimate.value), element("sup", mark) if mark else None),
        interval,
        element("small", _p(found.p)),
        *shares_left_out(found.estimate),
        class_=tone or None,
        title=f"n = {found.n:,}{adjusted}",
    )


def _table(base: str, found: Sequence[Difference], axes: Mapping[str, Axis], colours: Mapping[str, str]) -> Markup:
    """The differences from one evaluation: a row per figure, a column per other evaluation."""
    by = {(one.figure, one.other): one for one in found}
    others = list(dict.fromkeys(one.other for one in found))
    given = dict.fromkeys(one.figure for one in found)
    figures = [figure for figure in (*_SUMMARY, *axes) if figure in given]
    figures += [figure for figure in given if figure not in figures]
    rows = []
    for figure in figures:
        axis = "h_avg" if figure == "h_avg" else figure if figure in AXES else axes.get(figure)
        head = element("th", _SUMMARY.get(figure, figure), scope="row", class_="variant")
        rows.append(element("tr", head, *(_cell(by.get((figure, other)), axis) for other in others)))
    names = [element("th", other, scope="col", class_=f"dot {colours.get(other, '')}") for other in others]
    head = element("tr", element("th", "Figure", scope="col", class_="variant"), *names)
    table = element("table", element("thead", head), element("tbody", *rows))
    return framed(table, f"Differences from {base}", len(rows))


def differences(
    compared: Sequence[Compared], pairs: Sequence[PairedDifference], colours: Mapping[str, str]
) -> Markup | None:
    """A table for each evaluation that has a pair, the first one shown, the others to be chosen; None without pairs."""
    axes = {name: axis for axis, benchmarks in benchmarks_by_axis(compared).items() for name in benchmarks}
    known = [one.name for one in compared]
    given = [pair for pair in pairs if pair.first in known and pair.second in known]
    bases = [name for name in known if any(name in (pair.first, pair.second) for pair in given)]
    if not bases:
        return None
    tables = [_table(base, against(base, given), axes, colours) for base in bases]
    options = [element("option", base, value=place) for place, base in enumerate(bases)]
    label = element("label", "Against ", element("select", *options, id="base"), class_="choice")
    templates = [element("template", table, class_="base-table") for table in tables]
    return join(label, element("div", tables[0], id="differences-table"), *templates)
