"""Which candidate a place takes, and how likely a rollout then consults: counted out over all candidates."""

import itertools
import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.train.exploration import Exploration, behaviour_share, first_of, mode_log_ratio, wanted_mode

EXPLORATIONS: tuple[Exploration, ...] = get_args(Exploration)
ORDER: tuple[Exploration, ...] = ("none", "stratified", "half")  # from none to most
shares = st.floats(0.01, 0.99)


def test_which_mode_each_place_wants() -> None:
    assert [wanted_mode("none", i) for i in range(4)] == [None] * 4
    assert [wanted_mode("half", i) for i in range(6)] == [True, False] * 3
    assert [wanted_mode("stratified", i) for i in range(6)] == [True, False, None, None, None, None]


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.sampled_from([True, False, None]))
def test_the_first_of_the_wanted_mode_is_taken_else_the_first(modes: list[bool], wanted: bool | None) -> None:
    taken = first_of(modes, wanted)
    if wanted is None or wanted not in modes:
        assert taken == 0
    else:
        assert modes[taken] is wanted
        assert wanted not in modes[:taken]


@pytest.mark.parametrize("exploration", EXPLORATIONS)
@settings(deadline=None, max_examples=25)
@given(shares, st.integers(2, 5), st.integers(2, 9))
def test_the_behaviour_is_what_choosing_among_candidates_gives(
    exploration: Exploration, share: float, candidates: int, size: int
) -> None:
    expected = 0.0
    for place in range(size):
        for modes in itertools.product([True, False], repeat=candidates):
            chance = math.prod(share if mode else 1 - share for mode in modes)
            expected += chance * modes[first_of(list(modes), wanted_mode(exploration, place))] / size
    found = behaviour_share(torch.tensor([share], dtype=torch.float64), candidates, exploration, size)
    assert found.tolist() == pytest.approx([expected])


@given(shares)
def test_exploration_brings_the_rare_mode_nearer_to_one_half(share: float) -> None:
    p = torch.tensor([share], dtype=torch.float64)
    own, stratified, half = (behaviour_share(p, 4, e, 8).item() for e in ORDER)
    assert own == pytest.approx(share)
    nothing = mode_log_ratio(p[None], behaviour_share(p[None], 4, "none", 8), torch.tensor([[True, False]]))
    torch.testing.assert_close(nothing, torch.zeros_like(nothing))
    assert abs(half - 0.5) <= abs(stratified - 0.5) + 1e-12
    assert abs(stratified - 0.5) <= abs(share - 0.5) + 1e-12


@settings(deadline=None)
@given(shares, shares, st.lists(st.booleans(), min_size=2, max_size=8))
def test_the_corrected_ratio_turns_sampled_modes_into_the_models_own(
    share: float, behaviour: float, modes: list[bool]
) -> None:
    p, b = (torch.tensor([[x]], dtype=torch.float64) for x in (share, behaviour))
    ratio = torch.exp(-mode_log_ratio(p, b, torch.tensor([modes])))[0].tolist()
    expected = [share / behaviour if mode else (1 - share) / (1 - behaviour) for mode in modes]
    assert ratio == pytest.approx(expected)
    # Its mean over what was sampled is 1, as that of any importance weight.
    both = torch.exp(-mode_log_ratio(p, b, torch.tensor([[True, False]])))[0]
    assert (behaviour * both[0] + (1 - behaviour) * both[1]).item() == pytest.approx(1)
