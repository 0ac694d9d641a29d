"""The figures and their numbers."""

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_files import ARMS, TRAINED, arm_figures, estimate, shown

from ascl.report import curves
from ascl.report.axes import Scale, tick_labels, ticks
from ascl.report.figures import METRICS, columns, duration, spread
from ascl.report.gather import colour
from ascl.report.markup import Markup, element, join, visible
from ascl.report.tables import best, plain, summary
from ascl.report.trade_off import trade_off
from ascl.stats import Estimate

finite = st.floats(-1e9, 1e9)


@given(finite, finite)
def test_ticks_enclose_the_data(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    values = ticks(low, high)
    slack = 1e-5 * max(abs(low), abs(high), 1e-3)
    assert values[0] <= low + slack and values[-1] >= high - slack
    assert values == sorted(set(values)) and 2 <= len(values) <= 12


def test_ticks_are_round() -> None:
    assert ticks(0, 100) == [0, 25, 50, 75, 100]
    assert ticks(0.31, 0.87) == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert tick_labels([0.0, 0.5, 1.0]) == ["0.0", "0.5", "1.0"]
    assert tick_labels([-50.0, 0.0]) == ["−50", "0"]


def test_scale() -> None:
    assert Scale(0, 10, 100, 200)(5) == 150
    assert Scale(3, 3, 100, 200)(3) == 100


def test_markup_escapes_what_is_not_markup() -> None:
    assert element("p", "<b>", Markup("<i></i>"), None, title='a"b', data_x=1.0) == (
        '<p title="a&quot;b" data-x="1">&lt;b&gt;<i></i></p>'
    )
    assert join("a & b", None) == "a &amp; b"


def test_visible_names_hidden_characters_and_keeps_writing() -> None:
    assert visible("a\x00b\u202ec\r\nd\te") == "a[U+0000]b[U+202E]c\nd\te"
    kept = "שלום мир 你好 🧪 क्षि"
    assert visible(kept) == kept


def test_trade_off_draws_every_row_apart() -> None:
    rows = [
        shown(name, arm_figures(name), colour=colour(place), trained=name in TRAINED, seeds=5)
        for place, name in enumerate(ARMS)
    ]
    svg = trade_off(rows)
    assert svg is not None
    ours = svg[svg.rindex("quoted") :]
    assert len(re.findall('class="full"', ours)) == 3 and len(re.findall('class="hollow"', svg)) == 5 + 34 - 1
    assert "ifpo\nmean over 5 seeds\nSafety 98.9 %" in svg
    boxes = []
    for x, y, name in re.findall(r'<text class="name middle c\d+" x="([\d.]+)" y="([\d.]+)">([^<]+)', svg):
        half = len(name) * 7.4 / 2
        boxes.append((float(x) - half, float(y) - 11, float(x) + half, float(y) + 3))
    assert len(boxes) == 8
    for index, a in enumerate(boxes):
        for b in boxes[index + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, 98.0, -1.0])
def test_trade_off_of_equal_values(value: float) -> None:
    figures = {"safety": Estimate(value=value), "over_refusal": Estimate(value=value)}
    svg = trade_off([shown(name, figures) for name in ("a", "b", "c")])
    assert svg is not None and svg.count('class="full"') == 3 and "nan" not in svg
    assert trade_off([shown("a", {"safety": Estimate(value=value)})]) is None


COLOURS = {"grpo": "c1", "ifpo": "c2"}


def test_curves_of_a_long_noisy_run_stay_small() -> None:
    rows = [{"step": float(step), "reward": math.sin(step)} for step in range(20_000)]
    drawn = curves.training({"ifpo": rows, "grpo": rows}, {"bc": [{"loss": 1.0}]}, {**COLOURS, "bc": "c3"})
    assert drawn is not None and len(drawn) < 80_000
    assert drawn.index(">grpo</li>") < drawn.index(">ifpo</li>") < drawn.index(">bc</li>")
    assert ">Reward</h3>" in drawn and ">Loss, supervised</h3>" in drawn


@pytest.mark.parametrize("gap", [None, math.nan, math.inf, 1e200])
def test_curve_of_one_step_and_of_gaps(gap: float | None) -> None:
    one = curves.training({"ifpo": [{"step": 3.0, "reward": 1.0}, {"step": 4.0, "reward": gap}]}, {}, COLOURS)
    assert one is not None and one.count("<title>Step") == 1
    assert curves.training({"ifpo": [{"step": 3.0, "reward": gap}], "grpo": []}, {}, COLOURS) is None


def test_moving_mean() -> None:
    line = [(float(step), 2.0 * step) for step in range(50)]
    assert curves.window(50) == 5 and curves.window(19) == 1
    smooth = curves._smoothed(line)
    assert smooth[2:-2] == line[2:-2] and smooth[0] == (0.0, 2.0) and len(smooth) == 50


def test_summary_marks_the_best_and_shows_unknown_figures() -> None:
    rows = [
        shown("pure", {"h_avg": estimate(0.7), "turns": estimate(1.25)}),
        shown("ifpo", {"h_avg": estimate(0.9), "new": estimate(0.25)}, seeds=5),
    ]
    assert best(rows) == "ifpo" and best(rows[:1]) is None
    table = str(summary(rows))
    assert table.count(">best<") == 1 and ">25.0<" in table and "n = 300" in table and "300 seeds" in table
    assert ">1.25<" in table and 'title="mean over 5 seeds"' in table
    heads = [head for head in re.findall(r'<th scope="col">([^<]+)', table)]
    assert heads == ["H-avg", "Separation", "Safety", "Over-refusal", "Reasoning", "Turns", "new"]
    assert summary([]) is None


def test_every_figure_has_one_name_and_its_group_is_in_one_piece() -> None:
    assert len({metric.key for metric in METRICS}) == len(METRICS)
    groups = [metric.group for metric in METRICS]
    assert len(dict.fromkeys(groups)) == 1 + sum(a != b for a, b in pairwise(groups))
    assert [one.key for one in columns([{"novel": Estimate()}, {"safety": Estimate()}])] == ["safety", "novel"]
    assert colour(0) != colour(1) and colour(16) == colour(0)


def test_small_texts() -> None:
    shown = [duration(seconds) for seconds in (None, 2.14, 61.0, 3599.0, 3600.0, 7260.0)]
    assert shown == ["–", "2.1 s", "1 min 01 s", "1 h 00 min", "1 h 00 min", "2 h 01 min"]
    assert plain({"a": 0.93125, "b": {"c": True}, "d": [1, None]}) == "a 0.9313 · b c yes · d 1, –"
    assert spread(Estimate(value=0.5, n=4, unjudged=0.125)) == "50.0 % (– to –, n 4, 12.5 % unjudged)"
    assert plain({}) == plain("") == plain(None) == "–"
