"""The laws all estimators share, each formula against plain arithmetic, and IFPO's weights worked out by hand."""

import math
import statistics
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from trl.trainer.utils import nanstd

from ascl.train.advantages import TYPES, AdaGrpo, BaseAlgorithm, ConsultPenalty, Decoupled, DrGrpo, Ifpo, IpsGrpo
from ascl.train.advantages.grpo import grpo_advantages

UNCLIPPED = {"w_min": 1e-9, "w_max": 1e6}
taus = st.floats(0, 4)
flags = st.lists(st.booleans(), min_size=1, max_size=32)
several = flags.filter(lambda consulted: len(consulted) > 1)
checked = settings(deadline=None, max_examples=40)


def group(consulting: int, size: int = 8) -> torch.Tensor:
    return torch.tensor([[i < consulting for i in range(size)]])


@pytest.mark.parametrize(
    ("consulting", "tau", "common", "rare"),
    [(7, 0.5, 0.829, 2.194), (6, 0.5, 0.845, 1.464), (5, 0.5, 0.902, 1.164), (4, 0.5, 1.0, 1.0), (7, 1.0, 0.571, 4.0)],
)
def test_weights_of_a_lopsided_group(consulting: int, tau: float, common: float, rare: float) -> None:
    weights = Ifpo(tau=tau).weights(group(consulting))[0].tolist()
    assert weights == pytest.approx([common] * consulting + [rare] * (8 - consulting), abs=5e-4)
    # It is rarity that counts, not which of the two modes is rare.
    mirrored = Ifpo(tau=tau).weights(~group(consulting))[0].tolist()
    assert mirrored == weights


@pytest.mark.parametrize("consulting", [0, 8])
@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_a_group_of_one_mode_is_left_alone(consulting: int, tau: float) -> None:
    assert torch.equal(Ifpo(tau=tau).weights(group(consulting)), torch.ones(1, 8))


@settings(deadline=None)
@given(flags, taus)
def test_weights_follow_the_formula(consulted: list[bool], tau: float) -> None:
    size = len(consulted)
    rarity = [(size / consulted.count(mode)) ** tau for mode in consulted]
    expected = [r / statistics.fmean(rarity) for r in rarity]
    found = Ifpo(tau=tau, **UNCLIPPED).weights(torch.tensor([consulted]))[0].tolist()
    assert found == pytest.approx(expected, rel=1e-5)
    assert statistics.fmean(found) == pytest.approx(1.0, rel=1e-5)
    assert torch.equal(Ifpo(tau=0).weights(torch.tensor([consulted])), torch.ones(1, size))  # that is GRPO


@settings(deadline=None)
@given(flags, st.floats(0, 1e4), st.randoms(use_true_random=False))
def test_weights_are_finite_positive_and_follow_a_permutation(consulted: list[bool], tau: float, dice: Random) -> None:
    order = dice.sample(range(len(consulted)), len(consulted))
    weights = Ifpo(tau=tau).weights(torch.tensor([consulted]))
    moved = Ifpo(tau=tau).weights(torch.tensor([[consulted[i] for i in order]]))
    torch.testing.assert_close(moved, weights[:, order])
    assert torch.isfinite(weights).all()
    assert (weights > 0).all()  # no advantage changes its sign
    assert ((weights >= 0.25) & (weights <= 4.0)).all()


def test_clipping_binds_on_both_sides() -> None:
    weights = Ifpo(tau=1, w_min=0.6, w_max=2).weights(group(7))[0].tolist()
    assert weights == pytest.approx([0.6] * 7 + [2.0])


@pytest.mark.parametrize(
    "consulted", [group(1)[0], group(1)[None], torch.ones(2, 8), group(1).long(), torch.ones(2, 0, dtype=torch.bool)]
)
def test_other_shapes_and_types_are_refused(consulted: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"consulted must be bool \[groups, G\]"):
        Ifpo().weights(consulted)


Group = tuple[list[float], list[bool], bool]  # rewards (NaN unscored), consult flags, whether the prompt is harmful
EPS = 1e-4
ALGORITHMS = list(TYPES)
SHAPING = ("ada_grpo", "ips_grpo", "consult_penalty")  # they speak where all rewards are equal, by default too
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
progresses = st.floats(0, 1)


def groups_of(reward: st.SearchStrategy[float]) -> st.SearchStrategy[list[Group]]:
    """One to three groups of the same size, with unscored rollouts among them."""

    def group_of(size: int) -> st.SearchStrategy[Group]:
        rewards = st.lists(st.just(math.nan) | reward, min_size=size, max_size=size)
        consulted = st.sampled_from([[True] * size, [False] * size]) | st.lists(
            st.booleans(), min_size=size, max_size=size
        )
        return st.tuples(rewards, consulted, st.booleans())

    return st.integers(2, 9).flatmap(lambda size: st.lists(group_of(size), min_size=1, max_size=3))


groups = groups_of(st.floats(-4, 4))


def estimate(
    algorithm: str, batch: list[Group], progress: float = 0.3, dtype: torch.dtype = torch.float64, **changed: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    rewards = torch.tensor([rewards for rewards, *_ in batch], dtype=dtype)
    consulted = torch.tensor([consulted for _, consulted, _ in batch])
    harmful = torch.tensor([[harmful] * len(flags) for _, flags, harmful in batch])
    return TYPES[algorithm](**changed).advantages(rewards, consulted, harmful, progress)


def plain(algorithm: str, one: Group, progress: float, chosen: Any) -> list[tuple[float, float]]:
    """The decision's and the content's advantage of each rollout of a group, in plain arithmetic."""
    values, consulted, harmful = one
    size = len(values)
    if algorithm == "ada_grpo":
        shares = [consulted.count(mode) / size for mode in consulted]
        fading = [s + 0.5 * (1 - s) * (1 + math.cos(math.pi * progress)) for s in shares]
        values = [r / s * f for r, s, f in zip(values, shares, fading, strict=True)]
    elif algorithm == "ips_grpo":
        values = [r / (consulted.count(mode) / size) for r, mode in zip(values, consulted, strict=True)]
    elif algorithm == "adaptthink":
        values = [r if mode else r + chosen.delta for r, mode in zip(values, consulted, strict=True)]
    elif algorithm == "consult_penalty":
        values = [r - chosen.penalty if mode and not harmful else r for r, mode in zip(values, consulted, strict=True)]
    scored = [i for i, value in enumerate(values) if not math.isnan(value)]
    result = [(0.0, 0.0)] * size
    if len(scored) < 2:
        return result
    mean = statistics.fmean(values[i] for i in scored)
    spread = 1.0 if algorithm == "dr_grpo" else statistics.stdev(values[i] for i in scored) + EPS
    of_mode = {mode: [values[i] for i in scored if consulted[i] is mode] for mode in (True, False)}
    means = {mode: statistics.fmean(own) for mode, own in of_mode.items() if own}
    for i in scored:
        decision = content = (values[i] - mean) / spread
        if algorithm == "ifpo":
            rarity = [(size / consulted.count(mode)) ** chosen.tau for mode in consulted]
            weight = rarity[i] / statistics.fmean(rarity)
            decision = content = decision * min(max(weight, chosen.w_min), chosen.w_max)
        elif algorithm == "ampo" and len(means) == 2:
            middle = (means[True] + means[False]) / 2
            decision = content = decision + chosen.mode_weight * (means[consulted[i]] - middle) / spread
        elif algorithm == "decoupled" and len(means) == 2:
            p = len(of_mode[True]) / len(scored)
            within, mode = (values[i] - means[consulted[i]]) / spread, (means[consulted[i]] - mean) / spread
            decision, content = within + mode * (4 * p * (1 - p)) ** -chosen.sharpness, within + chosen.carry * mode
        result[i] = decision, content
    return result


# What an algorithm is set to, by its name.
SETTINGS: dict[str, tuple[str, ...]] = {
    "ifpo": ("tau",),
    "ampo": ("mode_weight",),
    "adaptthink": ("delta",),
    "consult_penalty": ("penalty",),
    "decoupled": ("sharpness", "carry"),
}


def of(algorithm: str) -> st.SearchStrategy[BaseAlgorithm]:
    return st.builds(TYPES[algorithm], **{name: st.floats(0, 3) for name in SETTINGS.get(algorithm, ())})


@every_algorithm
@checked
@given(groups, progresses, st.data())
def test_formulas_against_plain_arithmetic(
    algorithm: str, batch: list[Group], progress: float, data: st.DataObject
) -> None:
    chosen = data.draw(of(algorithm))
    decision, content = estimate(algorithm, batch, progress, **chosen.model_dump())
    for row, (found, rest) in enumerate(zip(decision.tolist(), content.tolist(), strict=True)):
        expected = plain(algorithm, batch[row], progress, chosen)
        # Shares and weights are float32 inside; ada_grpo's multiply the rewards, and eps magnifies their rounding where
        # rewards hardly differ.
        close = 2e-2 if algorithm == "ada_grpo" else 1e-5
        assert found == pytest.approx([first for first, _ in expected], rel=1e-5, abs=close)
        assert rest == pytest.approx([second for _, second in expected], rel=1e-5, abs=close)


@every_algorithm
@checked
@given(groups_of(st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-1, 2)), progresses)
def test_advantages_are_finite_and_nothing_for_unscored_rollouts(
    algorithm: str, batch: list[Group], progress: float
) -> None:
    for advantages in estimate(algorithm, batch, progress, dtype=torch.float32):
        assert torch.isfinite(advantages).all()
        for row, (rewards, *_) in zip(advantages.tolist(), batch, strict=True):
            assert all(a == 0 for a, reward in zip(row, rewards, strict=True) if math.isnan(reward))


@every_algorithm
@pytest.mark.parametrize("consulting", [0, 1, 7, 8])
@pytest.mark.parametrize("scored", [0, 1])
def test_a_group_with_fewer_than_two_scores_says_nothing(algorithm: str, consulting: int, scored: int) -> None:
    rewards = [1.5] * scored + [math.nan] * (8 - scored)
    for advantages in estimate(algorithm, [(rewards, group(consulting)[0].tolist(), False)], dtype=torch.float32):
        assert torch.equal(advantages, torch.zeros(1, 8))


@every_algorithm
@checked
@given(groups, progresses, st.randoms(use_true_random=False))
def test_advantages_follow_a_permutation_of_the_group(
    algorithm: str, batch: list[Group], progress: float, dice: Random
) -> None:
    order = dice.sample(range(len(batch[0][0])), len(batch[0][0]))
    moved = [([rewards[i] for i in order], [flags[i] for i in order], kind) for rewards, flags, kind in batch]
    for before, after in zip(estimate(algorithm, batch, progress), estimate(algorithm, moved, progress), strict=True):
        torch.testing.assert_close(after, before[:, order], rtol=1e-6, atol=1e-6)


@every_algorithm
@checked
@given(groups, progresses)
def test_groups_are_independent(algorithm: str, batch: list[Group], progress: float) -> None:
    alone = [estimate(algorithm, [one], progress) for one in batch]
    for i, together in enumerate(estimate(algorithm, batch, progress)):
        torch.testing.assert_close(together, torch.cat([pair[i] for pair in alone]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("algorithm", [a for a in ALGORITHMS if a not in SHAPING])
@checked
@given(st.floats(-4, 4), several, progresses)
def test_equal_rewards_give_no_advantage_whatever_the_modes(
    algorithm: str, reward: float, consulted: list[bool], progress: float
) -> None:
    for advantages in estimate(algorithm, [([reward] * len(consulted), consulted, False)], progress):
        assert advantages.abs().max() < 1e-9


@checked
@given(st.floats(-4, 4, width=32), several)
def test_equal_rewards_give_next_to_no_advantage_in_float32(reward: float, consulted: list[bool]) -> None:
    # The mean of equal floats can be off by a rounding; divided by eps = 1e-4 that is still next to nothing.
    for advantages in estimate("ifpo", [([reward] * len(consulted), consulted, False)], dtype=torch.float32):
        assert advantages.abs().max() < 0.05


NEUTRAL: dict[str, dict[str, Any]] = {
    "grpo": {}, "ifpo": {"tau": 0.0}, "ada_grpo": {"progress": 1.0}, "ampo": {"mode_weight": 0.0},
    "adaptthink": {"delta": 0.0}, "consult_penalty": {"penalty": 0.0}, "decoupled": {"sharpness": 0.0, "carry": 1.0},
}  # fmt: skip


@pytest.mark.parametrize("algorithm", NEUTRAL)
@checked
@given(groups)
def test_every_algorithm_is_grpo_at_its_neutral_setting(algorithm: str, batch: list[Group]) -> None:
    stock = grpo_advantages(torch.tensor([rewards for rewards, *_ in batch], dtype=torch.float64))
    for advantages in estimate(algorithm, batch, **NEUTRAL[algorithm]):
        torch.testing.assert_close(advantages, stock, rtol=1e-6, atol=2e-3 if algorithm == "ada_grpo" else 1e-6)


@checked
@given(groups, st.sampled_from([torch.float32, torch.float64]))
def test_grpo_and_dr_grpo_are_trls(batch: list[Group], dtype: torch.dtype) -> None:
    """TRL 1.16, `_generate_and_score_completions`, with scale_rewards `group` and `none`."""
    rewards = torch.tensor([rewards for rewards, *_ in batch], dtype=dtype)
    none = torch.zeros(rewards.shape, dtype=torch.bool)
    mean = torch.nanmean(rewards, dim=1, keepdim=True)
    scaled = (rewards - mean) / (nanstd(rewards, dim=1, keepdim=True) + 1e-4)
    torch.testing.assert_close(grpo_advantages(rewards), torch.nan_to_num(scaled, nan=0.0))
    torch.testing.assert_close(
        DrGrpo().advantages(rewards, none, none, 0)[0], torch.nan_to_num(rewards - mean, nan=0.0)
    )


# What shapes the reward by its mode has something to say where rewards are equal.


@pytest.mark.parametrize(("algorithm", "price"), [("consult_penalty", "penalty"), ("adaptthink", "delta")])
@checked
@given(st.floats(-4, 4), several, st.booleans(), st.floats(0.05, 2))
def test_a_price_on_consulting_is_the_whole_signal_where_rewards_are_equal(
    algorithm: str, price: str, reward: float, consulted: list[bool], harmful: bool, size: float
) -> None:
    batch = [([reward] * len(consulted), consulted, harmful)]
    advantages = estimate(algorithm, batch, **{price: size})[0]
    free = harmful and algorithm == "consult_penalty"  # on harmful prompts
    if free or len(set(consulted)) == 1:  # one that all pay is none
        assert advantages.abs().max() < 1e-9
    else:
        flagged = torch.tensor([consulted])
        assert (advantages[flagged] < 0).all()
        assert (advantages[~flagged] > 0).all()
        # Its size hardly matters: the standard deviation grows with it.
        torch.testing.assert_close(advantages, estimate(algorithm, batch, **{price: 100.0})[0], rtol=0.02, atol=0)


@pytest.mark.parametrize("algorithm", ["ada_grpo", "ips_grpo"])
@checked
@given(st.floats(0.1, 4), several, st.floats(0, 0.9))
def test_a_reward_scaled_by_rarity_favours_the_rare_mode_where_rewards_are_equal(
    algorithm: str, reward: float, consulted: list[bool], progress: float
) -> None:
    """The scale multiplies the reward itself, and is larger for the rarer mode (ada_grpo's until progress is 1)."""
    tool = consulted.count(True)
    advantages = estimate(algorithm, [([reward] * len(consulted), consulted, False)], progress)[0]
    flagged = torch.tensor([consulted])
    if tool in (0, len(consulted)) or 2 * tool == len(consulted):
        assert advantages.abs().max() < 1e-2
    else:
        rare = flagged if 2 * tool < len(consulted) else ~flagged
        assert (advantages[rare] > 0).all()
        assert (advantages[~rare] < 0).all()


@checked
@given(groups)
def test_ips_grpo_is_ada_grpo_before_its_scale_fades(batch: list[Group]) -> None:
    for ips, ada in zip(estimate("ips_grpo", batch), estimate("ada_grpo", batch, progress=0.0), strict=True):
        torch.testing.assert_close(ips, ada, rtol=1e-4, atol=2e-2)


@pytest.mark.parametrize("consulting", range(1, 8))
def test_ips_grpo_is_level_where_the_modes_shares_are_as_their_rewards(consulting: int) -> None:
    """At N_consult : N_direct = R_consult : R_direct nothing moves; GRPO would push towards the better mode."""
    flags = group(consulting)
    rewards = torch.where(flags, consulting / 8, 1 - consulting / 8).double()
    assert IpsGrpo().advantages(rewards, flags, flags, 0)[0].abs().max() < 1e-9


def test_ips_grpo_by_hand() -> None:
    rewards, flags = torch.tensor([[1.5, 0.0, 1.5, 1.5]]), group(1, size=4)
    scaled = [6.0, 0.0, 2.0, 2.0]  # 1.5 / (1/4), and the others divided by 3/4
    expected = [(r - 2.5) / statistics.stdev(scaled) for r in scaled]
    assert IpsGrpo(eps=1e-9).advantages(rewards, flags, flags, 0)[0][0].tolist() == pytest.approx(expected)


# The two parts of `decoupled`.


@checked
@given(groups, st.floats(0, 2))
def test_decoupled_takes_grpo_apart_and_only_reweighs_the_mode(batch: list[Group], sharpness: float) -> None:
    rewards = torch.tensor([rewards for rewards, *_ in batch], dtype=torch.float64)
    consulted = torch.tensor([consulted for _, consulted, _ in batch])
    stock = grpo_advantages(rewards)
    decision, content = Decoupled(sharpness=sharpness).advantages(rewards, consulted, consulted, 0)
    for row in range(len(batch)):
        scored = ~rewards[row].isnan()
        share = consulted[row][scored].double().mean()
        # Content: what was said is judged among its like only.
        for mode in (consulted[row], ~consulted[row]):
            assert abs(content[row][scored & mode].sum()) < 1e-2
        if not 0 < share < 1:
            assert torch.equal(decision[row], content[row])
            torch.testing.assert_close(decision[row], stock[row])
            continue
        # Decision: the same, and GRPO's mode part sharpened; it takes nothing from or to the group as a whole.
        mode_part = stock[row] - content[row]
        sharpened = content[row] + mode_part * (4 * share * (1 - share)) ** -sharpness
        torch.testing.assert_close(decision[row], sharpened, rtol=1e-4, atol=1e-2)
        assert abs(decision[row].sum()) < 5e-2


def test_decoupled_by_hand() -> None:
    rewards = torch.tensor([[1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
    consulted = group(2)
    decision, content = Decoupled(eps=1e-9).advantages(rewards, consulted, consulted, 0)
    spread = math.sqrt(15 / 56)  # 3 of 8
    gap = (1 / 2 - 1 / 3) / spread
    within = [x / spread for x in (1 / 2, -1 / 2, 2 / 3, 2 / 3, -1 / 3, -1 / 3, -1 / 3, -1 / 3)]
    assert content[0].tolist() == pytest.approx(within, abs=1e-5)
    mode = [0.75 * gap] * 2 + [-0.25 * gap] * 6  # 4 p (1 - p) = 3/4
    expected = [w + m / 0.75 for w, m in zip(within, mode, strict=True)]
    assert decision[0].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("sharpness", [0.0, 1.0, 50.0])
def test_decoupled_stays_finite_however_sharp(sharpness: float) -> None:
    rewards = torch.tensor([[1.0, 0.0] * 4, [1.0, 0.0] * 4, [math.nan] * 8])
    consulted = torch.cat([group(8), group(0), group(3)])
    for advantages in Decoupled(sharpness=sharpness).advantages(rewards, consulted, consulted, 0):
        assert torch.isfinite(advantages).all()
        assert advantages[:2].abs().max() < 1


# What is refused.


TRUE = torch.ones(2, 8, dtype=torch.bool)


@every_algorithm
@pytest.mark.parametrize("rewards", [torch.ones(8), torch.ones(2, 1), torch.ones(2, 2, 2), TRUE.long()])
def test_rewards_of_other_shapes_and_types_are_refused(algorithm: str, rewards: torch.Tensor) -> None:
    flags = torch.ones(rewards.shape, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"rewards must be float \[groups, G >= 2\]"):
        TYPES[algorithm]().advantages(rewards, flags, flags, 0.3)


@pytest.mark.parametrize("algorithm", [a for a in ALGORITHMS if a not in ("grpo", "dr_grpo")])  # these read no flags
@pytest.mark.parametrize("consulted", [TRUE[0], TRUE[:1], TRUE[:, :1], TRUE.float(), TRUE.long()])
def test_flags_of_other_shapes_and_types_are_refused(algorithm: str, consulted: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"must be (bool|of shape)"):
        TYPES[algorithm]().advantages(torch.rand(2, 8), consulted, TRUE, 0.3)


@pytest.mark.parametrize("harmful", [TRUE[0], TRUE[:1], TRUE.float(), TRUE[:, :4]])
def test_kinds_of_other_shapes_and_types_are_refused(harmful: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="harmful must be bool"):
        ConsultPenalty().advantages(torch.rand(2, 8), TRUE, harmful, 0)


def test_one_kind_for_each_group_will_do() -> None:
    rewards, kinds = torch.rand(2, 8), torch.tensor([[True], [False]])
    flags = torch.cat([group(3), group(5)])
    torch.testing.assert_close(
        ConsultPenalty().advantages(rewards, flags, kinds, 0),
        ConsultPenalty().advantages(rewards, flags, kinds.expand(2, 8), 0),
    )


@pytest.mark.parametrize("progress", [-0.01, 1.01, math.nan])
def test_progress_beyond_the_training_is_refused(progress: float) -> None:
    with pytest.raises(ValueError, match="progress must lie in"):
        AdaGrpo().advantages(torch.rand(1, 8), group(3), group(3), progress)


@every_algorithm
@checked
@given(groups, progresses)
def test_an_algorithm_reads_no_more_than_it_says(algorithm: str, batch: list[Group], progress: float) -> None:
    found, needs = estimate(algorithm, batch, progress), TYPES[algorithm].needs
    if "harmful" not in needs:
        turned = [(rewards, consulted, not harmful) for rewards, consulted, harmful in batch]
        assert all(map(torch.equal, found, estimate(algorithm, turned, progress)))
    if "progress" not in needs:
        assert all(map(torch.equal, found, estimate(algorithm, batch, 1 - progress)))
    if "decision_tokens" not in needs:
        assert torch.equal(*found)
