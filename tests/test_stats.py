"""Statistics: values of the papers by hand, and the laws of every interval."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.stats import (
    Estimate,
    bootstrap_mean,
    bootstrap_ratio,
    cohens_kappa,
    combined,
    difference,
    holm,
    over_seeds,
    paired_over_seeds,
    pearson,
    proportion,
    rule_of_three,
    share_equal,
    student_t,
    wilson,
)

flags = st.lists(st.booleans(), max_size=60)
shares = st.lists(st.booleans(), min_size=1, max_size=40)
labels = st.lists(st.tuples(*[st.sampled_from(["a", "b", "c", None])] * 2), max_size=30)
P_VALUES = st.lists(st.none() | st.floats(0, 1), max_size=12)


def hits(true: int, n: int) -> list[bool]:
    return [True] * true + [False] * (n - true)


def width(estimate: Estimate) -> float:
    assert estimate.low is not None and estimate.high is not None
    return estimate.high - estimate.low


def test_a_value_that_is_no_number_is_none() -> None:
    assert Estimate(value=math.nan, low=-math.inf, high=1e300, n=3) == Estimate(n=3)


# Wilson's interval: Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
@pytest.mark.parametrize(
    ("true", "n", "low", "high"),
    [
        *((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)),
        *((0, 10, 0.0, 0.27754), (5, 10, 0.23659, 0.76341)),  # by hand
    ],
)
def test_wilson_is_newcombes(true: int, n: int, low: float, high: float) -> None:
    estimate = proportion(hits(true, n))
    assert estimate.value == pytest.approx(true / n)
    assert (estimate.low, estimate.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))
    assert wilson(true, n) == (estimate.low, estimate.high)


# The difference: Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10.
@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090), ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926), ((0, 10), (0, 20), -0.1611, 0.2775), ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0), ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)  # fmt: skip
def test_the_difference_is_newcombes(a: tuple[int, int], b: tuple[int, int], low: float, high: float) -> None:
    estimate = difference(hits(*a), hits(*b))
    assert estimate.value == pytest.approx(a[0] / a[1] - b[0] / b[1])
    assert estimate.n == a[1] + b[1]
    assert (estimate.low, estimate.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@given(flags, flags)
@settings(deadline=None)
def test_intervals_hold_their_figure_and_mirror(a: list[bool], b: list[bool]) -> None:
    for estimate, bottom in ((proportion(a), 0.0), (difference(a, b), -1.0)):
        if estimate.value is None:
            assert (estimate.low, estimate.high, estimate.n) == (None, None, 0)
        else:
            assert estimate.low is not None and estimate.high is not None
            assert bottom <= estimate.low <= estimate.value <= estimate.high <= 1.0
    there, back = difference(a, b), difference(b, a)
    if there.low is not None and back.high is not None:
        assert there.low == pytest.approx(-back.high)


@given(st.lists(shares, min_size=1, max_size=4))
def test_a_mean_of_parts_is_no_less_certain_than_its_parts(parts: list[list[bool]]) -> None:
    estimates = [proportion(part) for part in parts]
    found = combined(lambda *values: sum(values) / len(values), estimates)
    assert found.value is not None and found.low is not None and found.high is not None
    assert -1e-12 <= found.low <= found.value <= found.high <= 1 + 1e-12
    widths = [one.high - one.low for one in estimates if one.high is not None and one.low is not None]
    assert found.high - found.low <= max(widths) + 1e-9


@given(st.lists(flags, min_size=1, max_size=3), st.data())
def test_a_missing_part_or_bound_is_missing(parts: list[list[bool]], data: st.DataObject) -> None:
    estimates = [proportion([*part, True]) for part in parts]
    one = data.draw(st.integers(0, len(parts) - 1))

    def total(*values: float) -> float:
        return sum(values)

    assert combined(total, [*estimates[:one], Estimate(), *estimates[one + 1 :]]) == Estimate()
    open_ended = [*estimates[:one], Estimate(value=1, n=1), *estimates[one + 1 :]]
    found = combined(total, open_ended)
    assert found.value is not None and found.low is found.high is None
    assert combined(lambda value: value, estimates[:1]).low == pytest.approx(estimates[0].low)


def test_a_bootstrap_repeats_itself_and_narrows() -> None:
    dice = random.Random(1)
    values = {str(i): [dice.uniform(0, 20)] for i in range(400)}
    few = dict(list(values.items())[:25])
    assert bootstrap_mean(few, 3) == bootstrap_mean(few, 3)
    assert width(bootstrap_mean(values, 3)) < width(bootstrap_mean(few, 3)) / 2
    pairs = [(value, 10.0) for (value,) in values.values()]
    assert width(bootstrap_ratio(pairs)) < width(bootstrap_ratio(pairs[:25])) / 2
    mean, ratio = bootstrap_mean(values, 3), bootstrap_ratio(pairs, 3)
    for name in ("value", "low", "high"):
        assert getattr(mean, name) == pytest.approx(10 * getattr(ratio, name))
    assert bootstrap_mean({}, 0) == bootstrap_ratio([]) == Estimate()


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=3), min_size=1, max_size=9))
@settings(deadline=None, max_examples=30)
def test_a_bootstrap_stays_within_its_values(epochs: list[list[float]]) -> None:
    found = bootstrap_mean({str(i): of for i, of in enumerate(epochs)}, 0)
    assert found.value is not None and found.low is not None and found.high is not None
    assert -1e-9 <= found.low <= found.value <= found.high <= 1 + 1e-9


def test_students_interval() -> None:
    found = over_seeds([1.0, 2.0, 3.0, None])
    assert found.value == 2.0
    assert found.n == 3
    assert found.low == pytest.approx(2.0 - 4.302653 / math.sqrt(3))
    assert found.high == pytest.approx(2.0 + 4.302653 / math.sqrt(3))
    assert over_seeds([5.0]).low is None
    assert over_seeds([]).value is None
    assert paired_over_seeds([3.0, None, 5.0, 4.0], [2.0, 0.0, None, 3.0]) == Estimate(value=1, low=1, high=1, n=2)
    with pytest.raises(ValueError, match="zip"):
        paired_over_seeds([1.0], [])


# scipy.special.stdtrit(degrees, 0.975) of scipy 1.17.1.
T = {
    1: 12.7062047, 2: 4.3026527, 3: 3.1824463, 4: 2.7764451, 7: 2.3646243, 16: 2.1199053, 31: 2.0395134,
    1001: 1.9623367,
}  # fmt: skip


@pytest.mark.parametrize(("degrees", "t"), T.items())
def test_students_t(degrees: int, t: float) -> None:
    assert student_t(degrees) == pytest.approx(t, abs=1e-7)


def test_holm_of_a_known_set() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([None, 0.02, None]) == [None, 0.02, None]
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


@given(P_VALUES)
def test_holm_is_ordered_and_no_smaller(values: list[float | None]) -> None:
    adjusted = holm(values)
    known = sorted((p, q) for p, q in zip(values, adjusted, strict=True) if p is not None and q is not None)
    assert [p is None for p in values] == [q is None for q in adjusted]
    assert all(p <= q <= min(1, len(known) * p) for p, q in known)
    assert [q for _, q in known] == sorted(q for _, q in known)


def test_kappa_by_hand() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: p_o = 0.7, p_e = 0.5
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert share_equal(first, second) == pytest.approx(0.7)
    assert cohens_kappa(first, second) == pytest.approx(0.4)
    with pytest.raises(ValueError, match="zip"):
        cohens_kappa(["a"], [])  # of unequal length


@pytest.mark.parametrize(
    ("first", "second", "share", "kappa"),
    [
        ("", "", None, None),
        ("aaa", "aaa", 1.0, None),  # one label only: chance would agree as well
        ("aaa", "bbb", 0.0, 0.0),
        ("ab", "ba", 0.0, -1.0),
        ("aaab", "aaaa", 0.75, 0.0),
    ],
)
def test_kappa_at_its_ends(first: str, second: str, share: float | None, kappa: float | None) -> None:
    assert share_equal(first, second) == share
    assert cohens_kappa(first, second) == kappa


@given(labels)
def test_the_laws_of_agreement(pairs: list[tuple[str | None, str | None]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    share, kappa = share_equal(first, second), cohens_kappa(first, second)
    assert (share, kappa) == (share_equal(second, first), cohens_kappa(second, first))
    whole = [pair for pair in pairs if None not in pair]
    assert (share is None) is (not whole)
    if share is not None:
        assert 0 <= share <= 1
    if kappa is not None:
        assert share is not None
        assert -1 <= kappa <= 1
        assert (kappa == 1) is (share == 1)
    assert (kappa is None) is (len({label for pair in whole for label in pair}) < 2)
    renamed = {"a": 1, "b": 2, "c": 3, None: None}
    assert kappa == cohens_kappa([renamed[a] for a in first], [renamed[b] for b in second])


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=4, max_size=30))
@settings(deadline=None)
def test_the_correlation_is_within_its_bounds(points: list[tuple[float, float]]) -> None:
    found = pearson([x for x, _ in points], [y for _, y in points])
    if found.value is not None:
        assert found.low is not None and found.high is not None
        assert -1.0000001 <= found.value <= 1.0000001
        assert found.low - 1e-9 <= found.value <= found.high + 1e-9


def test_the_correlation_of_known_points() -> None:
    found = pearson([1, 2, 3, 4, 5], [2, 4, 5, 4, 5])
    assert found.value == pytest.approx(0.7746, abs=1e-4)
    assert (found.low, found.high) == (pytest.approx(-0.340, abs=2e-3), pytest.approx(0.984, abs=2e-3))
    assert pearson([1, 1, 1, 1], [1, 2, 3, 4]) == Estimate(n=4)


@given(st.integers(1, 10_000))
def test_the_rule_of_three_is_no_less_than_the_exact_bound(n: int) -> None:
    exact = 1 - 0.05 ** (1 / n)
    assert exact <= (rule_of_three(n) or 0) <= min(1.0, 3.2 * exact)
    assert rule_of_three(0) is None
