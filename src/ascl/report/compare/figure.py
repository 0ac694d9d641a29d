"""The trade-off figure: evaluations as named points, their Pareto front, and the paper's rows as hollow ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ascl.report.axes import Scale, frame
from ascl.report.compare.front import steps
from ascl.report.compare.gather import Compared
from ascl.report.compare.published import PUBLISHED, SIZES, SOURCE, PublishedRow
from ascl.report.invisible import visible
from ascl.report.markup import Markup, element, join
from ascl.report.names import percent
from ascl.report.scatter import LETTER, Box, axis_values, place, span
from ascl.report.tables import left_out_text

WIDTH, HEIGHT = 860, 520
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 18, 54
_BOUNDS: Box = (_LEFT + 4.0, 2.0, WIDTH - 4.0, HEIGHT - _BOTTOM - 2.0)
_SMALL = 6.0  # width of a letter of a quoted name, in pixels
_LONGEST = 32  # letters of a name in the figure
_MOST_NAMED = 40  # evaluations beyond this number are named on hover only


@dataclass(frozen=True)
class _Point:
    """One point in percent, with what is shown on hover."""

    name: str
    colour: str
    x: float
    y: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    hint: str


def short(name: str, most: int = _LONGEST) -> str:
    """A name cut to a length that a figure has room for."""
    shown = visible(name)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _points(compared: Sequence[Compared], colours: Mapping[str, str]) -> list[_Point]:
    """The evaluations that have both figures."""
    points = []
    for one in compared:
        safety, refusal = one.summary.get("safety"), one.summary.get("over_refusal")
        if safety is None or safety.value is None or refusal is None or refusal.value is None:
            continue
        lines = [one.name] + [
            f"{name} {percent(e.value)} % ({percent(e.low)} to {percent(e.high)}, n {e.n}{left_out_text(e)})"
            for name, e in (("Safety", safety), ("Over-refusal", refusal))
        ]
        x_range, y_range = span(refusal, refusal.value), span(safety, safety.value)
        x, y = 100 * refusal.value, 100 * safety.value
        points.append(_Point(one.name, colours[one.name], x, y, x_range, y_range, "\n".join(lines)))
    return points


def _named(text: str, x: float, y: float, taken: list[Box], class_: str, letter: float = LETTER) -> Markup:
    """A point's name where it covers least, with a line to the point where it stands away from it."""
    box, far = place(x, y, text, taken, _BOUNDS, letter)
    taken.append(box)
    name = element("text", text, class_=class_, x=(box[0] + box[2]) / 2, y=box[3] - 3.5)
    if not far:
        return name
    near_x = min(max(x, box[0]), box[2])
    near_y = box[1] if y < box[1] else box[3] if y > box[3] else (box[1] + box[3]) / 2
    return join(element("line", class_="leader", x1=x, y1=y, x2=near_x, y2=near_y), name)


def _ours(points: Sequence[_Point], x: Scale, y: Scale, taken: list[Box]) -> Markup:
    marks = []
    for point in points:
        at_x, at_y = x(point.x), y(point.y)
        bars = [
            element("line", class_="bar", x1=x(point.x_range[0]), x2=x(point.x_range[1]), y1=at_y, y2=at_y),
            element("line", class_="bar", x1=at_x, x2=at_x, y1=y(point.y_range[0]), y2=y(point.y_range[1])),
        ]
        title = element("title", point.hint)
        dot = element("circle", class_="full", cx=at_x, cy=at_y, r=5.5)
        target = element("circle", class_="target", cx=at_x, cy=at_y, r=14)
        marks.append(element("g", title, *bars, dot, target, class_=f"mark {point.colour}"))
    names = [
        _named(short(point.name), x(point.x), y(point.y), taken, f"name middle {point.colour}")
        for point in points[:_MOST_NAMED]
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


def trade_off(compared: Sequence[Compared], colours: Mapping[str, str]) -> Markup | None:
    """The figure, or None where no evaluation has both safety and over-refusal."""
    points = _points(compared, colours)
    if not points:
        return None
    quoted = [(row.over_refusal, row.safety) for row in PUBLISHED if row.over_refusal and row.safety]
    x_ticks = axis_values([*(point.x_range for point in points), *((x, x) for x, _ in quoted)])
    y_ticks = axis_values([*(point.y_range for point in points), *((y, y) for _, y in quoted)])
    x = Scale(x_ticks[0], x_ticks[-1], _LEFT, WIDTH - _RIGHT)
    y = Scale(y_ticks[0], y_ticks[-1], HEIGHT - _BOTTOM, _TOP)
    taken: list[Box] = []
    for point in points:
        at_x, at_y = x(point.x), y(point.y)
        taken.append((at_x - 7, at_y - 7, at_x + 7, at_y + 7))
        taken.append((x(point.x_range[0]), at_y - 2, x(point.x_range[1]), at_y + 2))
        taken.append((at_x - 2, y(point.y_range[1]), at_x + 2, y(point.y_range[0])))
    front = steps([(point.x, point.y) for point in points])
    line = element("polyline", class_="front", points=" ".join(f"{x(at)},{y(up)}" for at, up in front))
    ours = _ours(points, x, y, taken)
    middle_y = (_TOP + HEIGHT - _BOTTOM) / 2
    figure = element(
        "svg",
        frame(x, y, x_ticks, y_ticks),
        element("text", "Over-refusal, %", class_="title middle", x=(x.start + x.end) / 2, y=HEIGHT - 10),
        element(
            "text", "Safety, %", class_="title middle", x=16, y=middle_y, transform=f"rotate(-90 16 {middle_y:.0f})"
        ),
        line,
        *(_quoted([row for row in PUBLISHED if row.size == size], x, y, taken) for size in SIZES),
        ours,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label="Safety against over-refusal for each evaluation; the numbers are in the table of figures",
    )
    return element("div", figure, class_="wide", tabindex=0, role="region", aria_label="Trade-off figure")
