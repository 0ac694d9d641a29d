"""What each estimator does to the consult logit: automatic differentiation against the closed forms of the docs.

One prompt, one logit z, p = sigmoid(z) the model's consult rate, q the consult share of the sampled group. The gradient
is that of the sum of A_i log pi(m_i), which is what one step of policy gradient climbs.
"""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ascl.train.advantages import AdaGrpo, Ampo, BaseAlgorithm, ConsultPenalty, Decoupled, DrGrpo, Ifpo, IpsGrpo
from ascl.train.advantages.group import group_std
from ascl.train.advantages.grpo import grpo_advantages
from ascl.train.exploration import behaviour_share, mode_log_ratio

G = 8
CLIP = 0.2
logits = st.floats(-4, 4)
mixed = st.lists(st.booleans(), min_size=G, max_size=G).filter(lambda flags: len(set(flags)) == 2)
paid = st.lists(st.sampled_from([0.0, 0.5, 1.1, 1.5, math.nan]), min_size=G, max_size=G)
checked = settings(deadline=None, max_examples=60)


def slope(advantages: torch.Tensor, consulted: torch.Tensor, logit: float, off_by: torch.Tensor | None = None) -> float:
    """d/dz of the surrogate. off_by: PPO's clipped ratio, with that much added to the old log-probabilities."""
    z = torch.tensor(logit, dtype=torch.float64, requires_grad=True)
    log_pi = torch.where(consulted, torch.nn.functional.logsigmoid(z), torch.nn.functional.logsigmoid(-z))
    if off_by is None:
        loss = -(advantages * log_pi).sum()
    else:
        ratio = torch.exp(log_pi - (log_pi.detach() + off_by))
        loss = -torch.minimum(ratio * advantages, ratio.clamp(1 - CLIP, 1 + CLIP) * advantages).sum()
    return -torch.autograd.grad(loss, z)[0].item()


def of(rewards: list[float], flags: list[bool]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([rewards], dtype=torch.float64), torch.tensor([flags])


def choice(
    algorithm: BaseAlgorithm, rewards: torch.Tensor, consulted: torch.Tensor, progress: float = 0.0
) -> torch.Tensor:
    """The advantages of the decision, on a harmless prompt."""
    return algorithm.advantages(rewards, consulted, torch.zeros_like(consulted), progress)[0]


def rate(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def gap(rewards: torch.Tensor, consulted: torch.Tensor) -> tuple[float, float, int]:
    """D (how much better consulting did, in standard deviations), q and the count, over the scored rollouts.

    Drops the case where one of the modes was not scored, or the rewards are equal.
    """
    scored = ~rewards.isnan()
    tool, direct = rewards[scored & consulted], rewards[scored & ~consulted]
    assume(len(tool) and len(direct) and len(set(rewards[scored].tolist())) > 1)
    count = len(tool) + len(direct)
    spread = group_std(rewards).item() + 1e-4
    return (tool.mean() - direct.mean()).item() / spread, len(tool) / count, count


@checked
@given(paid, mixed, logits)
def test_grpo_moves_the_logit_by_the_sum_over_consulting_rollouts(
    pay: list[float], flags: list[bool], z: float
) -> None:
    rewards, consulted = of(pay, flags)
    advantages = grpo_advantages(rewards)
    found = slope(advantages, consulted, z)
    assert found == pytest.approx(advantages[consulted].sum().item(), abs=1e-6)
    difference, q, count = gap(rewards, consulted)
    assert found == pytest.approx(count * q * (1 - q) * difference, abs=1e-6)  # whatever p is
    unscaled = slope(choice(DrGrpo(), rewards, consulted), consulted, z)
    assert unscaled == pytest.approx(found * (group_std(rewards).item() + 1e-4), abs=1e-6)


@checked
@given(paid, mixed, logits, st.floats(0, 2))
def test_ifpo_moves_it_the_same_way_by_its_weights(pay: list[float], flags: list[bool], z: float, tau: float) -> None:
    rewards, consulted = of(pay, flags)
    total = grpo_advantages(rewards)[consulted].sum().item()
    weights = Ifpo(tau=tau).weights(consulted)
    tool, direct, p = weights[consulted][0].item(), weights[~consulted][0].item(), rate(z)
    found = slope(choice(Ifpo(tau=tau), rewards, consulted), consulted, z)
    # Unscored rollouts count as members of their mode for the weights, and have no advantage.
    assert found == pytest.approx(total * (tool * (1 - p) + direct * p), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(("consulting", "factor"), [(7, 2.02), (6, 1.31), (4, 1.0)])
def test_ifpo_is_up_to_twice_as_strong_in_lopsided_groups(consulting: int, factor: float) -> None:
    rewards, consulted = of([1.0, 0.0] * 4, [i < consulting for i in range(G)])
    rewards[0, -1] = 0.3
    z = math.log(consulting / (G - consulting)) if consulting < G else 0.0
    stock = slope(grpo_advantages(rewards), consulted, z)
    assert slope(choice(Ifpo(tau=0.5), rewards, consulted), consulted, z) == pytest.approx(factor * stock, rel=5e-3)


@checked
@given(paid, mixed, logits, st.floats(0, 2))
def test_ampo_adds_its_mode_term(pay: list[float], flags: list[bool], z: float, weight: float) -> None:
    rewards, consulted = of(pay, flags)
    difference, q, count = gap(rewards, consulted)
    p = rate(z)
    mode_term = weight * count * difference / 2 * (q * (1 - p) + (1 - q) * p)
    expected = count * q * (1 - q) * difference + mode_term
    advantages = choice(Ampo(mode_weight=weight), rewards, consulted)
    assert slope(advantages, consulted, z) == pytest.approx(expected, abs=1e-5)
    # Where the group's share is the model's own rate, that is GRPO's gradient times 1 + weight.
    at_share = slope(advantages, consulted, math.log(q / (1 - q)))
    assert at_share == pytest.approx((1 + weight) * count * q * (1 - q) * difference, abs=1e-5)


@checked
@given(paid, mixed, logits)
def test_decoupled_is_the_natural_gradient_of_the_choice(pay: list[float], flags: list[bool], z: float) -> None:
    rewards, consulted = of(pay, flags)
    difference, q, count = gap(rewards, consulted)
    decision, content = Decoupled().advantages(rewards, consulted, consulted, 0.0)
    found = slope(decision, consulted, z)
    assert found == pytest.approx(count * difference / 4, abs=1e-4)  # whatever p and q are
    # GRPO's, divided by the Fisher information q (1 - q) of the choice (and by 4, to agree with it at one half).
    assert found == pytest.approx(slope(grpo_advantages(rewards), consulted, z) / (4 * q * (1 - q)), abs=1e-4)
    # Content tokens say nothing about the choice.
    assert slope(content, consulted, z) == pytest.approx(0, abs=1e-4)


def explored(
    advantages: torch.Tensor, consulted: torch.Tensor, z: float, behaviour: float
) -> tuple[float, list[float], list[bool]]:
    """The corrected gradient, its terms without the clip, and which terms the clip leaves."""
    p, b = (torch.tensor([[x]], dtype=torch.float64) for x in (rate(z), behaviour))
    found = slope(advantages, consulted, z, mode_log_ratio(p, b, consulted))
    terms, kept = [], []
    for advantage, mode in zip(advantages[0].tolist(), consulted[0].tolist(), strict=True):
        ratio = rate(z) / behaviour if mode else (1 - rate(z)) / (1 - behaviour)
        terms.append(ratio * advantage * ((1 - rate(z)) if mode else -rate(z)))
        kept.append(not (advantage > 0 and ratio > 1 + CLIP) and not (advantage < 0 and ratio < 1 - CLIP))
    return found, terms, kept


@checked
@given(paid, mixed, logits)
def test_adaptthink_with_the_corrected_ratio_and_its_clip(pay: list[float], flags: list[bool], z: float) -> None:
    rewards, consulted = of(pay, flags)
    behaviour = behaviour_share(torch.tensor(rate(z), dtype=torch.float64), 4, "half", G).item()
    for mode in (True, False):  # exactly on the clip's edge either gradient will do
        ratio = rate(z) / behaviour if mode else (1 - rate(z)) / (1 - behaviour)
        assume(min(abs(ratio - 1 - CLIP), abs(ratio - 1 + CLIP)) > 1e-6)
    found, terms, kept = explored(grpo_advantages(rewards), consulted, z, behaviour)
    assert found == pytest.approx(sum(t for t, keep in zip(terms, kept, strict=True) if keep), abs=1e-6)


@pytest.mark.parametrize("consulting_is_better", [True, False])
def test_the_clip_lets_the_frequent_mode_learn_from_half_of_the_group_only(consulting_is_better: bool) -> None:
    """p = 0.9 with 4 candidates: half of the places want a direct rollout, b = 0.83, and one is worth 0.58 of one."""
    z, flags = math.log(9), [True] * 4 + [False] * 4
    rewards, consulted = of([1.0 if mode is consulting_is_better else 0.0 for mode in flags], flags)
    behaviour = behaviour_share(torch.tensor(0.9, dtype=torch.float64), 4, "half", G).item()
    assert behaviour == pytest.approx(0.828, abs=1e-3)
    found, terms, kept = explored(grpo_advantages(rewards), consulted, z, behaviour)
    if consulting_is_better:  # worse direct rollouts would be pushed down: ratio below 0.8 with a negative advantage
        assert kept == [True] * 4 + [False] * 4
        assert 0 < found < 0.3 * sum(terms)
    else:  # towards the rare mode nothing is cut off
        assert all(kept)
        assert found == pytest.approx(sum(terms))


def test_with_true_halves_the_clip_ends_learning_the_frequent_mode() -> None:
    """b = 1/2, as with forced first tokens: from p = 0.6 on, nothing moves the model further towards consulting."""
    flags = [True] * 4 + [False] * 4
    rewards, consulted = of([1.0] * 4 + [0.0] * 4, flags)
    for p, moves in ((0.5, True), (0.59, True), (0.61, False), (0.785, False), (0.99, False)):
        found, *_ = explored(grpo_advantages(rewards), consulted, math.log(p / (1 - p)), 0.5)
        assert (found > 0) is moves
        back, *_ = explored(-grpo_advantages(rewards), consulted, math.log(p / (1 - p)), 0.5)
        assert back < 0


@checked
@given(mixed, logits, st.floats(-1.5, 1.5))
def test_without_the_clip_the_correction_undoes_the_exploration(flags: list[bool], z: float, worth: float) -> None:
    """Where a group's share is the behaviour's: G p (1 - p) (A_tool - A_direct), GRPO's own gradient in expectation."""
    advantages = torch.tensor([[worth if mode else -0.3 for mode in flags]], dtype=torch.float64)
    _, terms, _ = explored(advantages, torch.tensor([flags]), z, sum(flags) / G)
    assert sum(terms) == pytest.approx(G * rate(z) * (1 - rate(z)) * (worth + 0.3), abs=1e-9)


@checked
@given(mixed, logits, st.sampled_from([0.0, 0.5, 1.5]), st.sampled_from([0.05, 0.1, 1.0]))
def test_a_penalty_on_equal_rewards_is_a_full_push_against_consulting(
    flags: list[bool], z: float, reward: float, penalty: float
) -> None:
    rewards, consulted = of([reward] * G, flags)
    q = sum(flags) / G
    advantages = choice(ConsultPenalty(penalty=penalty), rewards, consulted)
    exact = -G * q * (1 - q) * penalty / (penalty * math.sqrt(q * (1 - q) * G / (G - 1)) + 1e-4)
    found = slope(advantages, consulted, z)
    assert found == pytest.approx(exact, rel=1e-6)
    # Without eps the size of the penalty is gone.
    assert found == pytest.approx(-math.sqrt(q * (1 - q) * G * (G - 1)), rel=0.01)


@checked
@given(mixed, logits, st.sampled_from([0.5, 1.5]), st.floats(0, 0.9))
def test_rewards_scaled_by_rarity_drive_the_modes_towards_one_half_where_they_are_equal(
    flags: list[bool], z: float, reward: float, progress: float
) -> None:
    rewards, consulted = of([reward] * G, flags)
    q = sum(flags) / G
    found = slope(choice(AdaGrpo(), rewards, consulted, progress), consulted, z)
    # A full push by the standard deviation, until the scale has faded to nothing; none in a balanced group.
    sign = (q < 0.5) - (q > 0.5)
    assert found == pytest.approx(sign * math.sqrt(q * (1 - q) * G * (G - 1)), rel=0.05, abs=1e-3)
    assert slope(choice(AdaGrpo(), rewards, consulted, 1.0), consulted, z) == pytest.approx(0, abs=1e-2)
    # IPS-GRPO pushes like Ada-GRPO at the start, from the first step to the last.
    kept = slope(choice(IpsGrpo(), rewards, consulted, progress), consulted, z)
    assert kept == pytest.approx(sign * math.sqrt(q * (1 - q) * G * (G - 1)), rel=0.05, abs=1e-3)
