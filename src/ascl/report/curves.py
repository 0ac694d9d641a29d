"""The training curves: small panels, one colour per arm, a moving mean over the faint value of each step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ascl.report.axes import Scale, frame, number, ticks, whole_ticks
from ascl.report.markup import Markup, element, join
from ascl.stats import finite

WIDTH, HEIGHT = 360, 214
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 12, 26
_MOST_POINTS = 400  # a longer curve is drawn through means of neighbours
_MOST_STOPS = 60  # places along a panel where hovering tells the values

Rows = Sequence[Mapping[str, float | None]]
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One panel: its title and the series it draws, each with the word that tells it apart by dashes."""

    title: str
    series: tuple[tuple[str, str], ...]
    percent: bool = False
    whole: bool = False  # the axis spans 0 to 100 %, whatever the data


PANELS = (
    Panel("Reward", (("reward", ""),)),
    Panel("Reward, safety part", (("reward_safety", ""),)),
    Panel("Reward, compliance part", (("reward_compliance", ""),)),
    Panel("Reward, hallucination factor", (("reward_hallucination", ""),)),
    Panel("Reward, format factor", (("reward_format", ""),)),
    Panel("Reward, fault penalty", (("reward_faults", ""),)),
    Panel(
        "Consult rate, %",
        (
            ("consult_rate_harmful", "harmful"),
            ("consult_rate_sensitive", "sensitive"),
            ("consult_rate_plain", "plain"),
            ("consult_rate_reasoning", "reasoning"),
        ),
        percent=True,
        whole=True,
    ),
    Panel("Consult rate, harmful minus sensitive, %", (("selectivity", ""),), percent=True),
    Panel("Weight of each mode", (("weight_consult", "consult"), ("weight_direct", "direct"))),
    Panel("Unjudged rollouts, left out, %", (("unjudged", ""),), percent=True),
    Panel("Loss", (("loss", ""),)),
    Panel("Entropy", (("entropy", ""),)),
)
SUPERVISED = (Panel("Loss, supervised", (("loss", ""),)),)


def _points(rows: Rows, key: str, factor: float) -> Points:
    """The (step, value) pairs of one series; a row without a step counts by its place."""
    found: Points = []
    for index, row in enumerate(rows):
        value, step = finite(row.get(key)), finite(row.get("step"))
        if value is not None:
            found.append((float(index if step is None else step), value * factor))
    return sorted(found)


def _thinned(points: Points) -> Points:
    """At most `_MOST_POINTS` points: the means of equal runs of neighbours."""
    size = -(-len(points) // _MOST_POINTS)
    if size <= 1:
        return points
    runs = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(p[0] for p in run) / len(run), sum(p[1] for p in run) / len(run)) for run in runs]


def window(count: int) -> int:
    """How many steps the moving mean spans: odd, about a tenth of the curve, one (none) for a short curve."""
    return 1 if count < 20 else 2 * (count // 20) + 1


def _smoothed(points: Points) -> Points:
    """The centred moving mean; near the ends it spans what there is."""
    half = window(len(points)) // 2
    means: Points = []
    for index, (step, _) in enumerate(points):
        near = points[max(index - half, 0) : index + half + 1]
        means.append((step, sum(value for _, value in near) / len(near)))
    return means


def _path(points: Points, x: Scale, y: Scale, class_: str) -> Markup:
    """A line through the points; a single point is a short dash."""
    places = [f"{x(step):g} {y(value):g}" for step, value in points]
    return element("path", class_=class_, d="M" + "L".join(places if len(places) > 1 else places * 2))


def _stops(series: Sequence[tuple[str, Points]], x: Scale, y: Scale) -> Markup:
    """Unseen strips across the panel; hovering over one tells what every curve is at that step."""
    steps = sorted({step for _, points in series for step, _ in points})
    chosen = steps[:: -max(1, -(-len(steps) // _MOST_STOPS))][::-1]  # the last step is always told
    tables = [(name, dict(points)) for name, points in series]
    strips: list[Markup] = []
    for index, step in enumerate(chosen):
        left = x.start if index == 0 else (x(chosen[index - 1]) + x(step)) / 2
        right = x.end if index == len(chosen) - 1 else (x(chosen[index + 1]) + x(step)) / 2
        values = [f"{name} {number(table[step])}" for name, table in tables if step in table]
        strips.append(
            element(
                "g",
                element("title", "\n".join([f"Step {number(step)}", *values])),
                element("rect", x=left, y=y.end, width=max(right - left, 0.5), height=y.start - y.end),
                element("line", x1=x(step), x2=x(step), y1=y.start, y2=y.end),
                class_="stop",
            )
        )
    return join(*strips)


def _key(words: Sequence[str]) -> Markup | None:
    """Which dash means what, shown beside the panel's title."""
    if len(words) < 2:
        return None
    samples = [
        element(
            "span",
            element(
                "svg", element("path", class_=f"dash{index}", d="M0 5H26"), viewBox="0 0 26 10", aria_hidden="true"
            ),
            word,
        )
        for index, word in enumerate(words)
    ]
    return element("p", *samples, class_="dashes")


def panel(plan: Panel, arms: Mapping[str, Rows], classes: Mapping[str, str]) -> Markup | None:
    """One panel, or None where no arm has any of its series."""
    factor = 100.0 if plan.percent else 1.0
    found = [
        (arm, word, points)
        for key, word in plan.series
        for arm, rows in arms.items()
        if (points := _points(rows, key, factor))
    ]
    if not found:
        return None
    words = list(dict.fromkeys(word for _, word, _ in found))
    values = [value for _, _, points in found for _, value in points]
    steps = [step for _, _, points in found for step, _ in points]
    low, high = (min(0.0, *values), max(100.0, *values)) if plan.whole else (min(values), max(values))
    y_ticks = ticks(low, high, 5)
    x = Scale(min(steps), max(steps), _LEFT, WIDTH - _RIGHT)
    y = Scale(y_ticks[0], y_ticks[-1], HEIGHT - _BOTTOM, _TOP)
    lines: list[Markup] = []
    for arm, word, points in found:
        thin = _thinned(points)
        dash = f"line {classes[arm]} dash{words.index(word)}"
        if window(len(thin)) > 1:
            lines.insert(0, _path(thin, x, y, f"raw {classes[arm]}"))
        lines.append(_path(_smoothed(thin), x, y, dash))
    svg = element(
        "svg",
        frame(x, y, whole_ticks(min(steps), max(steps), 5), y_ticks),
        join(*lines),
        _stops([(f"{arm} {word}".strip(), points) for arm, word, points in found], x, y),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{plan.title} by training step",
    )
    return element("figure", element("header", element("h3", plan.title), _key(words)), svg, class_="panel")


def training(learnt: Mapping[str, Rows], supervised: Mapping[str, Rows], colours: Mapping[str, str]) -> Markup | None:
    """A legend and the panels of the arms: RL by step, and the loss of supervised ones. None where nothing is there."""
    panels = [drawn for plan in PANELS if (drawn := panel(plan, learnt, colours))]
    panels += [drawn for plan in SUPERVISED if (drawn := panel(plan, supervised, colours))]
    if not panels:
        return None
    trained = [arm for arm in colours if learnt.get(arm) or supervised.get(arm)]
    legend = [element("li", arm, class_=colours[arm]) for arm in trained]
    return join(element("ul", *legend, class_="legend"), element("div", *panels, class_="panels"))
