"""IFPO's weights against the numbers worked out by hand, their laws, and GRPO's advantage against plain arithmetic."""

import math
import statistics
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.train.advantages.grpo import grpo_advantages
from ascl.train.advantages.ifpo import ifpo_weights

UNCLIPPED = {"w_min": 1e-9, "w_max": 1e9}
taus = st.floats(0, 4)
flags = st.lists(st.booleans(), min_size=1, max_size=32)


def group(consulting: int, size: int = 8) -> torch.Tensor:
    return torch.tensor([[i < consulting for i in range(size)]])


@pytest.mark.parametrize(
    ("consulting", "tau", "common", "rare"),
    [
        (7, 0.5, 0.829, 2.194),
        (6, 0.5, 0.845, 1.464),
        (5, 0.5, 0.902, 1.164),
        (4, 0.5, 1.0, 1.0),
        (7, 1.0, 0.571, 4.0),
    ],
)
def test_weights_of_a_lopsided_group(consulting: int, tau: float, common: float, rare: float) -> None:
    weights = ifpo_weights(group(consulting), tau)[0].tolist()
    assert weights == pytest.approx([common] * consulting + [rare] * (8 - consulting), abs=5e-4)
    # It is rarity that counts, not which of the two modes is rare.
    mirrored = ifpo_weights(~group(consulting), tau)[0].tolist()
    assert mirrored == weights


@pytest.mark.parametrize("consulting", [0, 8])
@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_a_group_of_one_mode_is_left_alone(consulting: int, tau: float) -> None:
    assert torch.equal(ifpo_weights(group(consulting), tau), torch.ones(1, 8))


@settings(deadline=None)
@given(flags)
def test_tau_zero_is_grpo(consulted: list[bool]) -> None:
    assert torch.equal(ifpo_weights(torch.tensor([consulted]), 0.0), torch.ones(1, len(consulted)))


@settings(deadline=None)
@given(flags, taus)
def test_weights_follow_the_formula(consulted: list[bool], tau: float) -> None:
    size = len(consulted)
    rarity = [(size / consulted.count(mode)) ** tau for mode in consulted]
    expected = [r / statistics.fmean(rarity) for r in rarity]
    found = ifpo_weights(torch.tensor([consulted]), tau, **UNCLIPPED)[0].tolist()
    assert found == pytest.approx(expected, rel=1e-5)
    assert statistics.fmean(found) == pytest.approx(1.0, rel=1e-5)


@settings(deadline=None)
@given(flags, st.floats(0, 1e4), st.randoms(use_true_random=False))
def test_weights_are_finite_positive_and_follow_a_permutation(consulted: list[bool], tau: float, dice: Random) -> None:
    order = dice.sample(range(len(consulted)), len(consulted))
    weights = ifpo_weights(torch.tensor([consulted]), tau)
    moved = ifpo_weights(torch.tensor([[consulted[i] for i in order]]), tau)
    torch.testing.assert_close(moved, weights[:, order])
    assert torch.isfinite(weights).all()
    assert (weights > 0).all()  # no advantage changes its sign
    assert ((weights >= 0.25) & (weights <= 4.0)).all()


def test_groups_do_not_see_each_other() -> None:
    both = ifpo_weights(torch.cat([group(7), group(4), group(0)]))
    assert torch.equal(both, torch.cat([ifpo_weights(group(7)), ifpo_weights(group(4)), ifpo_weights(group(0))]))


def test_clipping_binds_on_both_sides() -> None:
    weights = ifpo_weights(group(7), 1.0, w_min=0.6, w_max=2.0)[0].tolist()
    assert weights == pytest.approx([0.6] * 7 + [2.0])


@pytest.mark.parametrize(
    "consulted",
    [
        torch.tensor([True, False]),
        torch.ones(2, 2, 2, dtype=torch.bool),
        torch.ones(2, 8),
        torch.ones(2, 8, dtype=torch.int64),
        torch.ones(2, 0, dtype=torch.bool),
    ],
)
def test_other_shapes_and_types_are_refused(consulted: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"consulted must be bool \[groups, G\]"):
        ifpo_weights(consulted)


@pytest.mark.parametrize(
    ("tau", "w_min", "w_max"),
    [
        (-0.1, 0.25, 4.0),
        (math.nan, 0.25, 4.0),
        (math.inf, 0.25, 4.0),
        (0.5, 0.0, 4.0),
        (0.5, -1.0, 4.0),
        (0.5, 2.0, 1.0),
        (0.5, math.nan, 4.0),
        (0.5, 0.25, math.nan),
    ],
)
def test_other_values_are_refused(tau: float, w_min: float, w_max: float) -> None:
    with pytest.raises(ValueError, match="need tau >= 0 and 0 < w_min <= w_max"):
        ifpo_weights(group(4), tau, w_min, w_max)


rewards = st.integers(2, 16).flatmap(
    lambda size: st.lists(st.lists(st.floats(-4, 4), min_size=size, max_size=size), min_size=1, max_size=4)
)


@settings(deadline=None)
@given(rewards)
def test_grpo_advantages_against_plain_arithmetic(groups: list[list[float]]) -> None:
    found = grpo_advantages(torch.tensor(groups, dtype=torch.float64))
    for row, values in zip(found.tolist(), groups, strict=True):
        mean, spread = statistics.fmean(values), statistics.stdev(values)
        assert row == pytest.approx([(value - mean) / (spread + 1e-4) for value in values], abs=1e-7)


@settings(deadline=None)
@given(st.floats(-4, 4, width=32), flags.filter(lambda f: len(f) > 1))
def test_equal_rewards_give_no_advantage(reward: float, consulted: list[bool]) -> None:
    # The mean of equal floats can be off by a rounding; divided by eps = 1e-4 that is still next to nothing.
    advantages = grpo_advantages(torch.full((1, len(consulted)), reward))
    assert (advantages * ifpo_weights(torch.tensor([consulted]))).abs().max() < 0.05


@pytest.mark.parametrize("values", [torch.ones(8), torch.ones(2, 1), torch.ones(2, 2, 2)])
def test_grpo_refuses_other_shapes(values: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"rewards must have shape \[groups, G >= 2\]"):
        grpo_advantages(values)
