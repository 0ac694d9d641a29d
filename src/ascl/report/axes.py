"""The axes of a figure: a linear scale, round tick values, and the frame they are drawn in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ascl.report.markup import Markup, element, join


@dataclass(frozen=True)
class Scale:
    """Maps values in [low, high] to pixels in [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value, to a tenth."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round values that enclose [low, high]."""
    size = max(abs(low), abs(high))
    if high - low <= max(1e-9 * size, 1e-10):
        pad = 0.1 * size if size > 1e-6 else 1.0
        low, high = low - pad, high + pad
    rough = (high - low) / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
    return [round(index * step, 12) for index in range(first, last + 1)]


def whole_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """The round whole values inside [low, high], for an axis of steps that ends where the data ends."""
    return [tick for tick in ticks(low, high, count) if low <= tick <= high and tick == round(tick)]


def number(value: float) -> str:
    """A value in few digits."""
    return f"{value:.4g}".replace("-", "−")


def tick_labels(values: Sequence[float]) -> list[str]:
    """The tick values with as many decimals as the one that needs most."""
    decimals = max((len(f"{value:.6g}".partition(".")[2]) for value in values if "e" not in f"{value:.6g}"), default=0)
    return [
        f"{value:.{decimals}f}".replace("-", "−") if "e" not in f"{value:.6g}" else number(value) for value in values
    ]


def frame(x: Scale, y: Scale, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> Markup:
    """Horizontal grid lines, the base line, and the tick labels of both axes."""
    parts: list[Markup] = []
    for tick, shown in zip(y_ticks, tick_labels(y_ticks), strict=True):
        parts.append(element("line", class_="grid", x1=x.start, x2=x.end, y1=y(tick), y2=y(tick)))
        parts.append(element("text", shown, class_="tick end", x=x.start - 8, y=y(tick) + 4))
    parts.append(element("line", class_="axis", x1=x.start, x2=x.end, y1=y.start, y2=y.start))
    for tick, shown in zip(x_ticks, tick_labels(x_ticks), strict=True):
        parts.append(element("line", class_="axis", x1=x(tick), x2=x(tick), y1=y.start, y2=y.start + 4))
        parts.append(element("text", shown, class_="tick middle", x=x(tick), y=y.start + 18))
    return join(*parts)
