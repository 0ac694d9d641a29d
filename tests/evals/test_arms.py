"""Arms over their seeds: one seed keeps its interval, several have Student's, and a headline says what is settled."""

import pytest

from ascl.evals.arms import ArmDifference, ArmResult, figures_over_seeds, headline
from ascl.stats import Estimate, over_seeds


def seed(value: float | None, unjudged: float | None = None) -> dict[str, Estimate]:
    return {"safety": Estimate(value=value, low=0.0, high=1.0, n=9, unjudged=unjudged)}


def test_one_seed_keeps_the_interval_over_its_prompts() -> None:
    assert figures_over_seeds([seed(0.5, 0.25)]) == seed(0.5, 0.25)


def test_several_seeds_have_the_mean_and_students_interval() -> None:
    (found,) = figures_over_seeds([seed(0.4, 0.0), seed(0.5, 0.5), seed(0.6)]).values()
    mean = over_seeds([0.4, 0.5, 0.6])
    assert (found.value, found.low, found.high, found.n) == (mean.value, mean.low, mean.high, 3)
    assert found.unjudged == 0.25, "the mean of those that have a share"
    assert found.off_topic is None


def test_the_interval_of_a_share_ends_where_shares_do() -> None:
    values = [0.0, 0.9, 1.0]
    parts = [{name: Estimate(value=value) for name in ("safety", "separation", "tokens")} for value in values]
    found, mean = figures_over_seeds(parts), over_seeds(values)
    assert (found["safety"].low, found["safety"].high) == (0.0, 1.0)
    for name in ("separation", "tokens"):
        assert (found[name].low, found[name].high) == (mean.low, mean.high)


def test_a_seed_without_the_figure_is_left_out() -> None:
    found = figures_over_seeds([seed(0.4), seed(None), seed(0.8), {}])["safety"]
    assert (found.value, found.n) == (pytest.approx(0.6), 2)
    assert figures_over_seeds([seed(None), seed(None)])["safety"] == Estimate()


def arm(name: str, start: str | None = None, value: float | None = 0.5) -> ArmResult:
    return ArmResult(name=name, trained=True, start=start, seeds=[0], figures={"h_avg": Estimate(value=value)})


def apart(first: str, second: str, *values: float | None, figure: str = "h_avg", seeds: int = 3) -> ArmDifference:
    value, low, high = values
    difference = Estimate(value=value, low=low, high=high)
    return ArmDifference(first=first, second=second, figure=figure, seeds=seeds, difference=difference)


def test_a_headline_names_the_arms_that_differ_from_what_they_began_with() -> None:
    arms = [arm("bc"), arm("ifpo", "bc"), arm("grpo", "bc")]
    up, down = apart("bc", "ifpo", 0.1, 0.04, 0.16), apart("bc", "grpo", -0.2, -0.31, -0.05, seeds=1)
    unsettled = apart("bc", "grpo", 0.01, -0.05, 0.07)
    ignored = [apart("ifpo", "grpo", 0.3, 0.2, 0.4), apart("bc", "grpo", 0.3, 0.2, 0.4, figure="safety")]
    first = "ifpo is 10 points of H-avg above bc [4, 16], 3 seeds"
    assert headline(arms, [up, down, *ignored]) == (f"{first}; grpo is 20 points of H-avg below bc [5, 31], one seed.")
    assert headline(arms, [up, unsettled]) == f"{first}."
    assert headline(arms, [unsettled, apart("bc", "ifpo", 0.1, None, None)]) == (
        "Nothing is settled: grpo is 1 point of H-avg above bc [-5, 7], 3 seeds."
    )


def test_without_a_comparison_the_best_arm_is_named() -> None:
    assert headline([arm("bc", value=0.71), arm("pure", value=0.64), arm("x", value=None)], []) == (
        "bc has the highest H-avg, 71; no arm is compared with another."
    )
    assert headline([arm("x", value=None)], []) == headline([], []) == "No arm has an H-avg yet."


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.1), (-0.1, 0.0), (0.0, 0.0)])
def test_an_interval_that_touches_zero_settles_nothing(low: float, high: float) -> None:
    arms, difference = [arm("bc"), arm("ifpo", "bc")], apart("bc", "ifpo", (low + high) / 2, low, high)
    assert headline(arms, [difference]).startswith("Nothing is settled: ")
