"""What is computed for the page: the front, differences and which of them count, the first line, the cautions."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_files import JUDGE, arm_figures, estimate, shown, write_evaluation

from ascl.evals.metrics import h_avg
from ascl.report.differences import Difference, against, of_evaluations, sentence, tables
from ascl.report.front import on_front, steps
from ascl.report.gather import Shown, cautions, read_shown
from ascl.report.published import PUBLISHED, SIZES
from ascl.report.tables import warnings
from ascl.stats import Estimate

POINTS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda p: (float(p[0]), float(p[1]))), max_size=12
)
P = (0.001, 0.04, 0.2)


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


def difference(
    first: str, second: str, value: float, p: float | None = 0.01, figure: str = "h_avg", half: float = 0.1
) -> Difference:
    return Difference(first, second, figure, Estimate(value=value, low=value - half, high=value + half), "n = 9", p)


def test_differences_are_seen_from_any_evaluation() -> None:
    pairs = [difference("a", "b", 0.25), difference("a", "c", 0.5, p=None), difference("b", "c", 0.0)]
    seen = {one.second: one for one in against("b", pairs)}
    assert set(seen) == {"a", "c"}
    turned = seen["a"].estimate
    assert (turned.value, turned.low, turned.high) == pytest.approx((-0.25, -0.35, -0.15))
    assert (seen["a"].p, seen["a"].corrected) == (0.01, 0.02)  # two tests stand in this table
    assert [(one.second, one.corrected) for one in against("a", pairs)] == [("b", 0.01), ("c", None)]
    assert str(against("c", pairs)[-1].estimate.value) == "0.0"
    both = [difference("b", "a", 0.125), difference("a", "b", -0.25)]
    assert [one.estimate.value for one in against("a", both)] == [-0.25]
    assert against("nobody", pairs) == []


def test_a_test_decides_what_counts_and_without_one_the_interval() -> None:
    marks = [
        one.mark for one in against("a", [difference("a", name, 0.5, p) for name, p in zip("bcd", P, strict=True)])
    ]
    assert marks == ["**", "*", ""]
    without = [difference("a", "b", value, p=None).mark for value in (0.2, -0.2, 0.05)]
    assert without == ["*", "*", ""]


def test_a_table_marks_what_counts_and_which_side_is_better() -> None:
    rows = [shown("a", {}), shown("b", {})]
    given = [
        difference("a", "b", 0.2, 0.001, "safety"),
        difference("a", "b", 0.2, 0.04, "over_refusal"),
        difference("a", "b", 0.2, 0.2, "novel"),
    ]
    drawn = str(tables(rows, given))
    assert drawn.count("<template") == 2
    first = drawn[: drawn.index("<template")]
    assert '<td class="good" title="n = 9, p 0.003 after Holm">' in first and "+20.0<sup>**</sup>" in first
    assert '<td class="bad" title="n = 9, p 0.080 after Holm">' in first and "+20.0<sup>*</sup>" in first
    assert "+10.0 to +30.0" in first and "p 0.040" in first and "novel" in first
    assert tables(rows, []) is None


def rows(*names: str) -> list[Shown]:
    return [shown(name, arm_figures("bc")) for name in names]


def test_the_first_line_says_what_came_out() -> None:
    found = [difference("a", "b", 0.05, half=0.04), difference("a", "c", 0.01), difference("b", "c", -0.04)]
    assert sentence(rows("a", "b", "c"), found) == "b is 5 points of H-avg above a [1, 9]."
    below = [difference("a", "b", -0.05, half=0.04)]
    assert sentence(rows("a", "b"), below) == "b is 5 points of H-avg below a [1, 9]."
    unsettled = [difference("a", name, 0.01) for name in "bcdefg"]
    assert sentence(rows(*"abcdefg"), unsettled) == (
        "Nothing is settled: b is 1 point of H-avg above a [-9, 11]; c is 1 point of H-avg above a [-9, 11]; "
        "d is 1 point of H-avg above a [-9, 11]; 3 more below."
    )
    assert sentence(rows("a", "b"), [difference("a", "b", 0.5, figure="over_refusal")]) == (
        "b is 50 points of over-refusal above a [40, 60]."
    )
    assert sentence(rows("a", "b"), []).startswith("Nothing to compare")
    alone = [shown("a", {"h_avg": estimate(0.85), "safety": Estimate()})]
    assert sentence(alone, []) == "a: H-avg 85 [81, 89]."
    assert sentence([], []) == "Nothing was evaluated yet."


def test_the_same_prompts_are_compared(tmp_path: Path) -> None:
    folders = [
        write_evaluation(tmp_path / "a", "a", worse=2),
        write_evaluation(tmp_path / "b", "b", worse=6),
        write_evaluation(tmp_path / "c", "c", benchmarks={"xstest": "over_refusal"}, prompts=30),
    ]
    found = of_evaluations(read_shown(folders))
    assert {(one.first, one.second) for one in found} == {("a", "b"), ("a", "c"), ("b", "c")}
    by = {(one.first, one.second, one.figure): one for one in found}
    gained = by["a", "b", "strongreject"]
    assert gained.estimate.value == pytest.approx(6 / 12 - 2 / 12) and gained.count == "n = 12"
    assert by["a", "b", "h_avg"].settled and by["a", "c", "xstest"].count == "n = 12"
    assert ("a", "c", "h_avg") not in by


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
    assert cautions(read_shown([a, b])) == []
    c = write_evaluation(tmp_path / "c", "c", prompts=4, benchmarks={"xstest": "over_refusal"}, rule_book={"hash": "f"})
    text = (c / "metrics.json").read_text()
    (c / "metrics.json").write_text(text.replace(JUDGE, "offline"))
    found = cautions(read_shown([a, c]))
    assert [next(word for word in words if word in one) for words, one in zip(
        (["offline"], ["rule books"], ["strongreject, or_bench_hard, gsm8k"], ["epochs in xstest"]), found, strict=True
    )]  # fmt: skip
    assert warnings(read_shown([a]), []) is None


def test_a_warning_about_several_is_shown_once(tmp_path: Path) -> None:
    given = {"a": ["x: 1 of 2 prompts", "left alone"], "b": ["x: 1 of 2 prompts"], "c": []}
    folders = [write_evaluation(tmp_path / name, name, prompts=3, warnings=said) for name, said in given.items()]
    shown = str(warnings(read_shown(folders), []))
    assert shown.count("x: 1 of 2 prompts") == 1 and "<strong>a, b</strong>" in shown
    assert "<strong>a</strong>: left alone" in shown
    assert str(warnings(read_shown(folders), ["b-1: left alone"])).count("left alone") == 1
    assert "<strong>All</strong>: x: 1 of 2 prompts" in str(warnings(read_shown(folders[:2]), []))
