"""Small multiples: for each benchmark a row per evaluation, a dot on a scale of 0 to 100 % with its interval."""

from collections.abc import Sequence

from ascl.report.axes import Scale
from ascl.report.figures import percent, shares_left_out, spread
from ascl.report.gather import AXES, Shown, benchmarks_by_axis
from ascl.report.markup import Markup, element, join
from ascl.stats import Estimate

_X = Scale(0.0, 1.0, 6, 194)
_WIDTH, _ROW = 200, 16


def _scale() -> Markup:
    """The last row of a panel: 0, 50 and 100 below their grid lines."""
    labels = [element("text", f"{100 * at:.0f}", class_="tick middle", x=_X(at), y=10) for at in (0, 0.5, 1)]
    figure = element("svg", *labels, viewBox=f"0 0 {_WIDTH} 12", aria_hidden="true")
    return element("tfoot", element("tr", element("td"), element("td", figure), element("td")))


_SCALE = _scale()


def _dot(estimate: Estimate, value: float) -> Markup:
    middle = _ROW / 2
    low, high = estimate.low, estimate.high
    bar = None
    if low is not None and high is not None:
        bar = element("line", class_="bar", x1=_X(low), x2=_X(high), y1=middle, y2=middle)
    grid = (element("line", class_="grid", x1=_X(at), x2=_X(at), y1=0, y2=_ROW) for at in (0, 0.25, 0.5, 0.75, 1))
    dot = element("circle", class_="full", cx=_X(value), cy=middle, r=4)
    return element("svg", *grid, bar, dot, viewBox=f"0 0 {_WIDTH} {_ROW}", aria_hidden="true", class_="mark")


def _row(one: Shown, benchmark: str) -> Markup:
    estimate = one.figures(benchmark).get("score")
    head = element("th", one.name, scope="row", class_=f"dot {one.colour}", title=one.name)
    if estimate is None or estimate.value is None:
        return element(
            "tr", head, element("td", element("span", "–", class_="none")), element("td", "–", class_="value")
        )
    dot = element("td", _dot(estimate, estimate.value), class_=one.colour)
    value = element("td", percent(estimate.value), *shares_left_out(estimate), class_="value")
    return element("tr", head, dot, value, title=spread(estimate))


def small_multiples(shown: Sequence[Shown]) -> Markup | None:
    """The figures of all benchmarks by axis, or None where there are none."""
    parts: list[Markup] = []
    for axis, benchmarks in benchmarks_by_axis(shown).items():
        arrow = "↓" if axis == "over_refusal" else "↑"
        panels = []
        for name, asked in benchmarks.items():
            prompts = sorted({result.prompts for result in asked})
            count = f"{prompts[0]}" if len(prompts) == 1 else f"{prompts[0]} to {prompts[-1]}"
            about = [f"{count} {', '.join(dict.fromkeys(result.kind for result in asked))} prompts"]
            about += [] if all(result.macro for result in asked) else ["not in the mean"]
            rows = [_row(one, name) for one in shown]
            table = element("table", element("tbody", *rows), _SCALE)
            heading = element("header", element("h4", name), element("span", ", ".join(about)))
            panels.append(element("div", heading, table, class_="panel"))
        parts.append(element("h3", AXES[axis], element("i", arrow)))
        parts.append(element("div", *panels, class_="panels"))
    return join(*parts) if parts else None
