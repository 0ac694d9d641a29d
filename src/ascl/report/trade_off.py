"""The trade-off figure: rows as named points, their Pareto front, and the paper's rows as hollow ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from ascl.report.axes import Scale, frame, ticks
from ascl.report.figures import spread
from ascl.report.front import steps
from ascl.report.gather import Shown
from ascl.report.invisible import visible
from ascl.report.markup import Markup, element, join
from ascl.report.published import PUBLISHED, SIZES, SOURCE, PublishedRow
from ascl.stats import Estimate

WIDTH, HEIGHT = 760, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 14, 50
_LETTER, _SMALL, _LINE = 7.4, 6.0, 15.0  # a letter of our names, of a quoted name, and a line of them, in pixels
_LONGEST = 32  # letters of a name in the figure
_MOST_NAMED = 40  # rows beyond this number are named on hover only

Box = tuple[float, float, float, float]  # left, top, right, bottom
_BOUNDS: Box = (_LEFT + 4.0, 2.0, WIDTH - 4.0, HEIGHT - _BOTTOM - 2.0)


@dataclass(frozen=True)
class _Point:
    """One point in percent: over-refusal, safety and their intervals (the value itself where there is none)."""

    one: Shown
    x: float
    y: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    hint: str


def drawn(one: Shown) -> bool:
    """Whether a row has both figures."""
    return all((e := one.summary.get(key)) and e.value is not None for key in ("safety", "over_refusal"))


def _span(estimate: Estimate, value: float) -> tuple[float, float]:
    low = value if estimate.low is None else estimate.low
    high = value if estimate.high is None else estimate.high
    return 100 * min(low, value), 100 * max(high, value)


def _point(one: Shown) -> _Point:
    safety, refusal = one.summary["safety"], one.summary["over_refusal"]
    x, y = refusal.value or 0.0, safety.value or 0.0
    seeds = [f"mean over {one.seeds} seeds"] if one.seeds > 1 else []
    hint = "\n".join([one.name, *seeds, f"Safety {spread(safety)}", f"Over-refusal {spread(refusal)}"])
    return _Point(one, 100 * x, 100 * y, _span(refusal, x), _span(safety, y), hint)


def _overlap(a: Box, b: Box) -> float:
    """The area two boxes share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _place(x: float, y: float, text: str, taken: Sequence[Box], letter: float) -> tuple[Box, bool]:
    """The label box near (x, y) that covers least of what is taken, and whether it is far enough to need a leader."""
    width = len(text) * letter
    best: tuple[float, Box, bool] | None = None
    for distance in (9.0, 22.0, 38.0, 56.0, 76.0):
        for dx, dy in ((1, -1), (1, 1), (-1, -1), (-1, 1), (1, 0), (-1, 0), (0, -1), (0, 1)):
            left = x + dx * distance - (0 if dx > 0 else width if dx < 0 else width / 2)
            top = y + dy * distance - (_LINE / 2 if dy == 0 else 0 if dy > 0 else _LINE)
            box = (left, top, left + width, top + _LINE)
            outside = width * _LINE - _overlap(box, _BOUNDS)
            cost = sum(_overlap(box, other) for other in taken) + 4 * outside + distance
            if best is None or cost < best[0]:
                best = (cost, box, distance > 9)
    assert best is not None
    return best[1], best[2]


def _named(text: str, x: float, y: float, taken: list[Box], class_: str, letter: float) -> Markup:
    """A point's name where it covers least, with a line to the point where it stands away from it."""
    box, far = _place(x, y, text, taken, letter)
    taken.append(box)
    name = element("text", text, class_=class_, x=(box[0] + box[2]) / 2, y=box[3] - 3.5)
    if not far:
        return name
    near_x = min(max(x, box[0]), box[2])
    near_y = box[1] if y < box[1] else box[3] if y > box[3] else (box[1] + box[3]) / 2
    return join(element("line", class_="leader", x1=x, y1=y, x2=near_x, y2=near_y), name)


def _short(name: str) -> str:
    shown = visible(name)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def _ours(points: Sequence[_Point], x: Scale, y: Scale, taken: list[Box]) -> Markup:
    marks = []
    for point in points:
        at_x, at_y = x(point.x), y(point.y)
        bars = [
            element("line", class_="bar", x1=x(point.x_range[0]), x2=x(point.x_range[1]), y1=at_y, y2=at_y),
            element("line", class_="bar", x1=at_x, x2=at_x, y1=y(point.y_range[0]), y2=y(point.y_range[1])),
        ]
        dot = element("circle", class_="full" if point.one.trained else "hollow", cx=at_x, cy=at_y, r=5.5)
        target = element("circle", class_="target", cx=at_x, cy=at_y, r=14)
        marks.append(element("g", element("title", point.hint), *bars, dot, target, class_=f"mark {point.one.colour}"))
    names = [
        _named(_short(p.one.name), x(p.x), y(p.y), taken, f"name middle {p.one.colour}", _LETTER)
        for p in points[:_MOST_NAMED]
    ]
    return join(*marks, *names)


def _quoted(rows: Sequence[PublishedRow], x: Scale, y: Scale, taken: Sequence[Box]) -> Markup:
    """The paper's rows of one model size, hollow; their names stand clear of ours."""
    own = list(taken)
    places = [(row, x(row.over_refusal), y(row.safety)) for row in rows if row.over_refusal and row.safety]
    own += [(at_x - 6, at_y - 6, at_x + 6, at_y + 6) for _, at_x, at_y in places]
    marks = []
    for row, at_x, at_y in places:
        hint = f"Quoted from {SOURCE}: {row.method}, Qwen3-{row.size}\nSafety {row.safety} %\n"
        marks.append(
            element(
                "g",
                element("title", f"{hint}Over-refusal {row.over_refusal} %\n{row.remark}".rstrip()),
                element("circle", class_="hollow", cx=at_x, cy=at_y, r=4.5),
                element("circle", class_="target", cx=at_x, cy=at_y, r=12),
                _named(f"{row.method} (quoted)", at_x, at_y, own, "name middle", _SMALL),
            )
        )
    return element("g", *marks, class_=f"mark quoted size-{rows[0].size}")


def _axis_values(ranges: Sequence[tuple[float, float]]) -> list[float]:
    """Tick values around the ranges, inside 0 to 100 where the data are."""
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    values = ticks(low, high, 6)
    return [tick for tick in values if 0 <= tick <= 100] if low >= 0 and high <= 100 else values


def trade_off(shown: Sequence[Shown]) -> Markup | None:
    """The figure, or None where no row has both safety and over-refusal."""
    points = [_point(one) for one in shown if drawn(one)]
    if not points:
        return None
    quoted = [(row.over_refusal, row.safety) for row in PUBLISHED if row.over_refusal and row.safety]
    x_ticks = _axis_values([*(point.x_range for point in points), *((x, x) for x, _ in quoted)])
    y_ticks = _axis_values([*(point.y_range for point in points), *((y, y) for _, y in quoted)])
    x = Scale(x_ticks[0], x_ticks[-1], _LEFT, WIDTH - _RIGHT)
    y = Scale(y_ticks[0], y_ticks[-1], HEIGHT - _BOTTOM, _TOP)
    taken: list[Box] = []
    for point in points:
        at_x, at_y = x(point.x), y(point.y)
        taken.append((at_x - 7, at_y - 7, at_x + 7, at_y + 7))
        taken.append((x(point.x_range[0]), at_y - 2, x(point.x_range[1]), at_y + 2))
        taken.append((at_x - 2, y(point.y_range[1]), at_x + 2, y(point.y_range[0])))
    front = steps([(point.x, point.y) for point in points])
    ours = _ours(points, x, y, taken)
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    figure = element(
        "svg",
        frame(x, y, x_ticks, y_ticks),
        element("text", "Over-refusal, %", class_="title middle", x=(x.start + x.end) / 2, y=HEIGHT - 8),
        element("text", "Safety, %", class_="title middle", x=16, y=middle, transform=f"rotate(-90 16 {middle:.0f})"),
        element("polyline", class_="front", points=" ".join(f"{x(at)},{y(up)}" for at, up in front)),
        *(_quoted([row for row in PUBLISHED if row.size == size], x, y, taken) for size in SIZES),
        ours,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label="Safety against over-refusal; the numbers are in the table of figures",
    )
    return element("div", figure, class_="wide", tabindex=0, role="region", aria_label="Trade-off figure")
