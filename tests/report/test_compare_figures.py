"""The pure parts of the comparison: the front, the correction for many tests, the quoted rows, and the cautions."""

from itertools import pairwise
from pathlib import Path

import pytest
from evaluation_files import JUDGE, write_evaluation
from hypothesis import given
from hypothesis import strategies as st

from ascl.evals.metrics import h_avg
from ascl.evals.paired import PairedDifference
from ascl.report.compare.front import on_front, steps
from ascl.report.compare.gather import cautions, read_compared
from ascl.report.compare.published import PUBLISHED, SIZES
from ascl.report.compare.significance import against
from ascl.report.compare.tables import warnings
from ascl.stats import Estimate

POINTS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda p: (float(p[0]), float(p[1]))), max_size=12
)


def test_front_of_a_known_set() -> None:
    points = [(5.0, 60.0), (10.0, 90.0), (10.0, 80.0), (20.0, 85.0), (30.0, 95.0), (5.0, 60.0)]
    assert on_front(points) == [True, True, False, False, True, True]
    assert steps(points) == [(5, 60), (10, 60), (10, 90), (30, 90), (30, 95)]
    assert on_front([]) == [] and steps([(1.0, 2.0)]) == [(1, 2)]


@given(POINTS)
def test_front_is_what_no_other_point_beats(points: list[tuple[float, float]]) -> None:
    def beaten(x: float, y: float) -> bool:
        return any(u <= x and v >= y and (u < x or v > y) for u, v in points)

    assert on_front(points) == [not beaten(x, y) for x, y in points]
    line = steps(points)
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(line))
    assert line == sorted(line)


def difference(first: str, second: str, value: float, p: float | None = 0.01) -> PairedDifference:
    found = Estimate(value=value, low=value - 0.1, high=value + 0.2, n=9)
    return PairedDifference(first=first, second=second, figure="safety", n=9, difference=found, p=p)


def test_differences_are_seen_from_any_evaluation() -> None:
    pairs = [difference("a", "b", 0.25), difference("a", "c", 0.5, p=None), difference("b", "c", 0.0)]
    seen = {one.other: one for one in against("b", pairs)}
    assert set(seen) == {"a", "c"}
    turned = seen["a"].estimate
    assert (turned.value, turned.low, turned.high) == pytest.approx((-0.25, -0.45, -0.15))
    assert (seen["a"].p, seen["a"].corrected) == (0.01, 0.02)  # two tests stand in this table
    assert [(one.other, one.corrected) for one in against("a", pairs)] == [("b", 0.01), ("c", None)]
    assert str(against("c", pairs)[-1].estimate.value) == "0.0"
    both = [difference("b", "a", 0.125), difference("a", "b", -0.25)]
    assert [one.estimate.value for one in against("a", both)] == [-0.25]
    assert against("nobody", pairs) == []


def test_published_rows_fit_their_own_mean() -> None:
    checked = 0
    for row in PUBLISHED:
        if row.safety is not None and row.over_refusal is not None and row.reasoning is not None:
            assert row.h_avg is not None
            whole = 100 * h_avg(row.safety / 100, row.over_refusal / 100, row.reasoning / 100)
            assert whole == pytest.approx(row.h_avg, abs=0.0101), row  # four figures rounded to 0.01
            checked += 1
    assert checked == 27
    assert {row.size for row in PUBLISHED} == set(SIZES)
    assert len({(row.method, row.size) for row in PUBLISHED}) == len(PUBLISHED) == 34
    errors = {(row.method, row.size): row for row in PUBLISHED if row.remark}
    assert errors["SafeChain", "14B"].safety is None
    assert ("IFPO", "8B") in errors


def test_cautions_name_what_does_not_match(tmp_path: Path) -> None:
    a = write_evaluation(tmp_path / "a", "a", prompts=3)
    b = write_evaluation(tmp_path / "b", "b", prompts=3)
    assert cautions(read_compared([a, b])) == []
    c = write_evaluation(tmp_path / "c", "c", prompts=4, benchmarks={"xstest": "over_refusal"}, rule_book={"hash": "f"})
    text = (c / "metrics.json").read_text()
    (c / "metrics.json").write_text(text.replace(JUDGE, "offline"))
    found = cautions(read_compared([a, c]))
    assert [next(word for word in words if word in one) for words, one in zip(
        (["offline"], ["rule books"], ["strongreject, or_bench_hard, gsm8k"], ["epochs in xstest"]), found, strict=True
    )]  # fmt: skip
    assert warnings(read_compared([a]), []) is None


def test_a_warning_about_several_is_shown_once(tmp_path: Path) -> None:
    given = {"a": ["x: 1 of 2 prompts", "left alone"], "b": ["x: 1 of 2 prompts"], "c": []}
    folders = [write_evaluation(tmp_path / name, name, prompts=3, warnings=said) for name, said in given.items()]
    shown = str(warnings(read_compared(folders), []))
    assert shown.count("x: 1 of 2 prompts") == 1 and "<strong>a, b</strong>" in shown
    assert "<strong>a</strong>: left alone" in shown
    assert "<strong>All</strong>: x: 1 of 2 prompts" in str(warnings(read_compared(folders[:2]), []))
