"""The figures and their numbers."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_files import estimate, metrics

from ascl.report import curves
from ascl.report.axes import Scale, tick_labels, ticks
from ascl.report.files import Metrics
from ascl.report.markup import Markup, element, join, visible
from ascl.report.names import colours, duration, in_order, label
from ascl.report.scatter import trade_off
from ascl.report.tables import best_variant, headline, plain

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


def marks(svg: str) -> list[tuple[float, float]]:
    found = re.findall(r'<circle class="(?:hollow|full)" cx="([\d.]+)" cy="([\d.]+)"', svg)
    return [(float(x), float(y)) for x, y in found]


def test_scatter_draws_every_variant_apart() -> None:
    variants = Metrics.model_validate(metrics()).variants
    svg = trade_off(variants)
    assert svg is not None and len(marks(svg)) == 8
    assert "IFPO\nSafety 98.9 %" in svg
    boxes = []
    for x, y, name in re.findall(r'<text class="name middle c\d" x="([\d.]+)" y="([\d.]+)">([^<]+)', svg):
        half = len(name) * 7.4 / 2
        boxes.append((float(x) - half, float(y) - 11, float(x) + half, float(y) + 3))
    assert len(boxes) == 8
    for index, a in enumerate(boxes):
        for b in boxes[index + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, 98.0, -1.0])
def test_scatter_of_equal_values(value: float) -> None:
    same = {name: {"safety": {"value": value}, "over_refusal": {"value": value}} for name in ("a", "b", "c")}
    svg = trade_off(Metrics.model_validate({"variants": same}).variants)
    assert svg is not None and len(marks(svg)) == 3 and "nan" not in svg


def test_curves_of_a_long_noisy_run_stay_small() -> None:
    rows = [{"step": float(step), "reward": math.sin(step)} for step in range(20_000)]
    drawn = curves.training({"ifpo": rows, "grpo": rows}, ["grpo", "ifpo"])
    assert drawn is not None and len(drawn) < 80_000
    assert drawn.index(">GRPO</li>") < drawn.index(">IFPO</li>")


def test_curve_of_one_step_and_of_gaps() -> None:
    one = curves.training({"ifpo": [{"step": 3.0, "reward": 1.0}]}, [])
    assert one is not None and 'd="M' in one
    assert curves.training({"ifpo": [{"step": 3.0, "reward": None}], "grpo": []}, []) is None
    assert curves.cloning([]) is None


def test_moving_mean() -> None:
    line = [(float(step), 2.0 * step) for step in range(50)]
    assert curves.window(50) == 5 and curves.window(19) == 1
    smooth = curves._smoothed(line)
    assert smooth[2:-2] == line[2:-2] and smooth[0] == (0.0, 2.0) and len(smooth) == 50


def test_headline_marks_the_best_and_shows_unknown_metrics() -> None:
    variants = {"pure": {"h_avg": estimate(0.7)}, "ifpo": {"h_avg": estimate(0.9), "new": estimate(0.25)}}
    checked = Metrics.model_validate({"variants": variants}).variants
    assert best_variant(checked) == "ifpo"
    table = headline(checked)
    assert table is not None and table.count(">best<") == 1 and ">25.0<" in table and "n = 300" in table
    assert best_variant({}) is None and headline({}) is None


def test_names() -> None:
    assert [label(name) for name in ("pure", "ascl_zs", "ifpo_tau1")] == ["Pure", "ASCL-ZS", "ifpo_tau1"]
    assert in_order(["b", "a", "c", "a"], ["a", "x", "b"]) == ["a", "b", "c"]
    chosen = colours(["ifpo", "mine", "yours"])
    assert chosen["ifpo"] == "c7" and chosen["mine"] != chosen["yours"]


def test_small_texts() -> None:
    shown = [duration(seconds) for seconds in (None, 2.14, 61.0, 3599.0, 3600.0, 7260.0)]
    assert shown == ["–", "2.1 s", "1 min 01 s", "1 h 00 min", "1 h 00 min", "2 h 01 min"]
    assert plain({"a": 0.93125, "b": {"c": True}, "d": [1, None]}) == "a 0.9313 · b c yes · d 1, –"
    assert plain({}) == plain("") == plain(None) == "–"
