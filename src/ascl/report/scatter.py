"""The trade-off figure: safety against over-refusal, one labelled mark per variant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ascl.report.axes import Scale, frame, ticks
from ascl.report.markup import Markup, element, join
from ascl.report.names import PROMPTED, colours, label, percent
from ascl.report.tables import left_out_text
from ascl.stats import Estimate

WIDTH, HEIGHT = 760, 470
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 18, 54
LETTER, _LINE = 7.4, 15.0  # size of a letter of the labels, in pixels

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class _Mark:
    """One variant in percent: over-refusal, safety and their intervals (the value itself where there is none)."""

    name: str
    x: float
    y: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]


def span(estimate: Estimate, value: float) -> tuple[float, float]:
    """The interval of a share in percent; the value itself where there is none."""
    low = value if estimate.low is None else estimate.low
    high = value if estimate.high is None else estimate.high
    return 100 * min(low, value), 100 * max(high, value)


def _marks(variants: Mapping[str, Mapping[str, Estimate | None]]) -> list[_Mark]:
    """The variants that have both values."""
    marks = []
    for name, metrics in variants.items():
        safety, refusal = metrics.get("safety"), metrics.get("over_refusal")
        if safety and refusal and safety.value is not None and refusal.value is not None:
            marks.append(
                _Mark(
                    name,
                    100 * refusal.value,
                    100 * safety.value,
                    span(refusal, refusal.value),
                    span(safety, safety.value),
                )
            )
    return marks


def _overlap(a: Box, b: Box) -> float:
    """The area two boxes share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def place(x: float, y: float, text: str, taken: Sequence[Box], bounds: Box, letter: float = LETTER) -> tuple[Box, bool]:
    """The label box near (x, y) that covers least of what is taken, and whether it is far enough to need a leader."""
    width = len(text) * letter
    best: tuple[float, Box, bool] | None = None
    for distance in (9.0, 22.0, 38.0, 56.0, 76.0):
        for dx, dy in ((1, -1), (1, 1), (-1, -1), (-1, 1), (1, 0), (-1, 0), (0, -1), (0, 1)):
            left = x + dx * distance - (0 if dx > 0 else width if dx < 0 else width / 2)
            top = y + dy * distance - (_LINE / 2 if dy == 0 else 0 if dy > 0 else _LINE)
            box = (left, top, left + width, top + _LINE)
            outside = width * _LINE - _overlap(box, bounds)
            cost = sum(_overlap(box, other) for other in taken) + 4 * outside + distance
            if best is None or cost < best[0]:
                best = (cost, box, distance > 9)
    assert best is not None
    return best[1], best[2]


def _drawn(mark: _Mark, colour: str, x: Scale, y: Scale, estimates: Mapping[str, Estimate | None]) -> Markup:
    """The interval bars and the point of one variant, with its numbers on hover."""
    lines = [label(mark.name)]
    for key, name in (("safety", "Safety"), ("over_refusal", "Over-refusal")):
        estimate = estimates[key]
        assert estimate is not None
        lines.append(
            f"{name} {percent(estimate.value)} % ({percent(estimate.low)} to {percent(estimate.high)}, "
            f"n {'–' if estimate.n is None else estimate.n}{left_out_text(estimate)})"
        )
    point_x, point_y = x(mark.x), y(mark.y)
    return element(
        "g",
        element("title", "\n".join(lines)),
        element("line", class_="bar", x1=x(mark.x_range[0]), x2=x(mark.x_range[1]), y1=point_y, y2=point_y),
        element("line", class_="bar", x1=point_x, x2=point_x, y1=y(mark.y_range[0]), y2=y(mark.y_range[1])),
        element("circle", class_="hollow" if mark.name in PROMPTED else "full", cx=point_x, cy=point_y, r=5.5),
        element("circle", class_="target", cx=point_x, cy=point_y, r=14),
        class_=f"mark {colour}",
    )


def axis_values(ranges: Sequence[tuple[float, float]]) -> list[float]:
    """Tick values around the ranges, inside 0 to 100 where the data are."""
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    values = ticks(low, high, 6)
    return [tick for tick in values if 0 <= tick <= 100] if low >= 0 and high <= 100 else values


def trade_off(variants: Mapping[str, Mapping[str, Estimate | None]]) -> Markup | None:
    """The figure, or None where no variant has both numbers."""
    marks = _marks(variants)
    if not marks:
        return None
    x_ticks, y_ticks = axis_values([mark.x_range for mark in marks]), axis_values([mark.y_range for mark in marks])
    x = Scale(x_ticks[0], x_ticks[-1], _LEFT, WIDTH - _RIGHT)
    y = Scale(y_ticks[0], y_ticks[-1], HEIGHT - _BOTTOM, _TOP)
    bounds = (_LEFT + 4.0, 2.0, WIDTH - 4.0, HEIGHT - _BOTTOM - 2.0)
    taken: list[Box] = []
    for mark in marks:
        point_x, point_y = x(mark.x), y(mark.y)
        taken.append((point_x - 7, point_y - 7, point_x + 7, point_y + 7))
        taken.append((x(mark.x_range[0]), point_y - 2, x(mark.x_range[1]), point_y + 2))
        taken.append((point_x - 2, y(mark.y_range[1]), point_x + 2, y(mark.y_range[0])))
    classes = colours(variants)
    drawn: list[Markup] = []
    labels: list[Markup] = []
    for mark in marks:
        point_x, point_y, name = x(mark.x), y(mark.y), label(mark.name)
        box, far = place(point_x, point_y, name, taken, bounds)
        taken.append(box)
        middle = (box[0] + box[2]) / 2
        if far:
            near_y = box[1] if point_y < box[1] else box[3] if point_y > box[3] else (box[1] + box[3]) / 2
            near_x = min(max(point_x, box[0]), box[2])
            drawn.append(element("line", class_="leader", x1=point_x, y1=point_y, x2=near_x, y2=near_y))
        drawn.append(_drawn(mark, classes[mark.name], x, y, variants[mark.name]))
        labels.append(element("text", name, class_=f"name middle {classes[mark.name]}", x=middle, y=box[3] - 3.5))
    middle_y = (_TOP + HEIGHT - _BOTTOM) / 2
    figure = element(
        "svg",
        frame(x, y, x_ticks, y_ticks),
        element("text", "Over-refusal, %", class_="title middle", x=(x.start + x.end) / 2, y=HEIGHT - 10),
        element(
            "text", "Safety, %", class_="title middle", x=16, y=middle_y, transform=f"rotate(-90 16 {middle_y:.0f})"
        ),
        join(*drawn),
        join(*labels),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label="Safety against over-refusal for each variant; the numbers are in the table above",
    )
    return element("div", figure, class_="wide", tabindex=0, role="region", aria_label="Trade-off figure")
