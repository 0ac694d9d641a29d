"""Our estimators through verl's own `compute_advantage`, against the pure functions they come from."""

import math
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("verl", reason="needs the extra `verl`, an environment of its own: `make test-verl`")

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from verl import DataProto
from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY
from verl.trainer.ppo.ray_trainer import compute_advantage

from ascl.adapters.verl.estimators import ALGORITHMS, algorithm_of, assert_registered
from ascl.adapters.verl.facts import Facts, interior_zeros, known
from ascl.train.advantages import Grpo, Ifpo

PARAMETERS = {"tau": 0.7, "mode_weight": 0.5, "penalty": 0.2, "delta": 0.1, "sharpness": 0.5, "carry": 0.25}


@dataclass
class Rollout:
    """A recorded rollout: its reward, model tokens of each turn and result tokens between them, and its prompt."""

    reward: float
    turns: list[int]
    results: int
    harmful: bool
    decision: int

    @property
    def mask(self) -> list[int]:
        mask = [1] * self.turns[0]
        for turn in self.turns[1:]:
            mask += [0] * self.results + [1] * turn
        return mask


rewards = st.sampled_from([0.0, 0.5, 1.0, 1.1, 1.5, -0.4, math.nan])
rollouts = st.builds(
    Rollout,
    reward=rewards,
    turns=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    results=st.integers(1, 4),
    harmful=st.booleans(),
    decision=st.integers(0, 6),
)
batches = st.lists(st.lists(rollouts, min_size=2, max_size=8), min_size=1, max_size=6)


def batch_of(groups: list[list[Rollout]], order: list[int]) -> tuple[DataProto, Facts]:
    """The groups as verl's trainer holds them, rows in the given order, and what our trainer knows of them."""
    rows = [(number, rollout) for number, group in enumerate(groups) for rollout in group]
    rows = [rows[i] for i in order]
    width = max(len(rollout.mask) for _, rollout in rows)
    mask, scores = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width)
    for row, (_, rollout) in enumerate(rows):
        mask[row, : len(rollout.mask)] = torch.tensor(rollout.mask)
        scores[row, len(rollout.mask) - 1] = rollout.reward
    data = DataProto.from_dict(
        tensors={"token_level_rewards": scores, "response_mask": mask},
        non_tensors={"uid": np.array([f"prompt {number}" for number, _ in rows], dtype=object)},
    )
    facts = Facts(
        consulted=torch.tensor([len(rollout.turns) > 1 for _, rollout in rows]),
        harmful=torch.tensor([rollout.harmful for _, rollout in rows]),
        decision_length=torch.tensor([rollout.decision for _, rollout in rows]),
        progress=0.3,
    )
    return data, facts


def expected(name: str, groups: list[list[Rollout]], config: Any) -> list[torch.Tensor]:
    """The token advantages of every rollout, from the pure functions alone."""
    every = []
    for group in groups:
        decision, content = algorithm_of(name, config).advantages(
            torch.tensor([[rollout.reward for rollout in group]]),
            torch.tensor([[len(rollout.turns) > 1 for rollout in group]]),
            torch.tensor([[rollout.harmful for rollout in group]]),
            0.3,
        )
        for i, rollout in enumerate(group):
            chosen = torch.arange(len(rollout.mask)) < rollout.decision
            every.append(torch.where(chosen, decision[0, i], content[0, i]) * torch.tensor(rollout.mask))
    return every


@pytest.mark.parametrize("name", ALGORITHMS)
@settings(max_examples=40, deadline=None)
@given(groups=batches, data=st.data(), eps=st.sampled_from([1e-4, 1e-6]))
def test_verl_gets_the_same_advantages(name: str, groups: list[list[Rollout]], data: st.DataObject, eps: float) -> None:
    order = data.draw(st.permutations(range(sum(map(len, groups)))))
    batch, facts = batch_of(groups, order)
    config = OmegaConf.create({"ascl": {**PARAMETERS, "eps": eps}})
    with known(facts):
        out = compute_advantage(batch, adv_estimator=name, config=config).batch
    wanted = expected(name, groups, config)
    for row, source in enumerate(order):
        mine, theirs = wanted[source], out["advantages"][row]
        torch.testing.assert_close(theirs[: len(mine)], mine, atol=1e-5, rtol=1e-5)
        assert not theirs[len(mine) :].any()
    assert torch.equal(out["returns"], out["advantages"])


@pytest.mark.parametrize("name", [name for name, algorithm in ALGORITHMS.items() if not algorithm.needs])
@settings(max_examples=20, deadline=None)
@given(groups=batches)
def test_the_mask_alone_gives_the_same_where_no_call_failed(name: str, groups: list[list[Rollout]]) -> None:
    order = list(range(sum(map(len, groups))))
    config = OmegaConf.create({"ascl": PARAMETERS})
    batch, facts = batch_of(groups, order)
    with known(facts):
        told = compute_advantage(batch, adv_estimator=name, config=config).batch["advantages"]
    guessed = compute_advantage(batch_of(groups, order)[0], adv_estimator=name, config=config).batch["advantages"]
    assert torch.equal(told, guessed)


def two_groups() -> list[list[Rollout]]:
    """A group of close rewards, and one of rewards far apart."""
    return [
        [Rollout(reward, turns, 2, False, 1) for reward, turns in zip(values, ([3], [2, 4], [5], [1, 1]), strict=True)]
        for values in ((1.0, 1.001, 1.0, 1.001), (0.0, 1.5, 0.5, 1.5))
    ]


def test_the_std_epsilon_is_all_that_sets_our_grpo_apart_from_verls() -> None:
    order = list(range(8))
    stock = compute_advantage(batch_of(two_groups(), order)[0], adv_estimator="grpo").batch["advantages"]

    def ours(eps: float) -> torch.Tensor:
        config = OmegaConf.create({"ascl": {"eps": eps}})
        return compute_advantage(batch_of(two_groups(), order)[0], adv_estimator="ascl_grpo", config=config).batch[
            "advantages"
        ]

    torch.testing.assert_close(ours(1e-6), stock, atol=1e-5, rtol=1e-4)
    std = torch.tensor([1.0, 1.001, 1.0, 1.001]).std()
    shrink = (std + 1e-6) / (std + 1e-4)
    assert 0.8 < shrink < 0.9  # TRL's epsilon takes a seventh off where rewards differ by a thousandth ..
    torch.testing.assert_close(ours(1e-4)[:4], stock[:4] * shrink, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(ours(1e-4)[4:], stock[4:], atol=1e-3, rtol=1e-3)  # .. and nothing to speak of elsewhere


def test_interior_zeros_are_zeros_between_ones() -> None:
    masks = torch.tensor([[1, 1, 0, 0, 1, 0], [1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1, 0, 1, 0, 1, 1]])
    assert interior_zeros(masks).tolist() == [True, False, False, True]


def test_a_fault_counts_as_consulted_until_the_trainer_says_otherwise() -> None:
    groups = [[Rollout(1.5, [2, 2], 2, True, 1), *[Rollout(r, [4], 1, True, 1) for r in (0.0, 1.5, 0.5)]]]
    batch, facts = batch_of(groups, [0, 1, 2, 3])
    guessed = compute_advantage(batch, adv_estimator="ascl_ifpo").batch["advantages"]
    fault = Facts(torch.zeros(4, dtype=torch.bool), facts.harmful, facts.decision_length, 0.0)
    with known(fault):
        told = compute_advantage(batch_of(groups, [0, 1, 2, 3])[0], adv_estimator="ascl_ifpo").batch["advantages"]
    stock = compute_advantage(batch_of(groups, [0, 1, 2, 3])[0], adv_estimator="ascl_grpo").batch["advantages"]
    assert torch.equal(told, stock)  # one mode only: IFPO is GRPO
    assert guessed[0, 0] > told[0, 0]  # taken for a rare consultation


def test_padding_rows_of_verl_stay_zero_and_a_group_of_one_is_an_error() -> None:
    groups = two_groups()
    batch, _ = batch_of(groups, list(range(8)))
    batch.batch["response_mask"][7] = 0
    batch.non_tensor_batch["uid"][7] = "pad0"
    advantages = compute_advantage(batch, adv_estimator="ascl_ifpo").batch["advantages"]
    assert not advantages[7].any() and advantages[4].any()
    batch.batch["response_mask"][7, 0] = 1
    with pytest.raises(ValueError, match="pad0 holds one rollout"):
        compute_advantage(batch, adv_estimator="ascl_ifpo")


@pytest.mark.parametrize("name", [name for name, algorithm in ALGORITHMS.items() if algorithm.needs])
def test_what_needs_facts_refuses_to_guess(name: str) -> None:
    with pytest.raises(ValueError, match="ascl_sync"):
        compute_advantage(batch_of(two_groups(), list(range(8)))[0], adv_estimator=name)


def test_settings_come_from_the_algorithm_section() -> None:
    assert algorithm_of("ascl_ifpo", None) == Ifpo()
    section = OmegaConf.create({"ascl": {"tau": 0.9, "eps": 1e-6}})
    assert algorithm_of("ascl_ifpo", section) == Ifpo(tau=0.9, eps=1e-6)
    assert algorithm_of("ascl_grpo", section) == Grpo(eps=1e-6)  # tau is another one's
    for wrong in ("tua", "exploration", "type"):
        with pytest.raises(ValueError, match=f"unknown {wrong}"):
            algorithm_of("ascl_ifpo", OmegaConf.create({"ascl": {wrong: 0.9}}))


def test_importing_verl_registers_every_estimator() -> None:
    assert set(ALGORITHMS) <= set(ADV_ESTIMATOR_REGISTRY)
    assert_registered()


@pytest.mark.parametrize("module", ["ascl.adapters.verl.reward", "ascl.adapters.verl.launch"])
def test_start_up_without_the_plug_in_fails_loudly(module: str) -> None:
    command = [sys.executable, "-m", module, "configs/verl/one_node.yaml", "actor_rollout_ref.model.path=x"]
    environment = {**os.environ, "VERL_USE_EXTERNAL_PLUGINS": "none"}
    out = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert out.returncode != 0
    assert "its plug-in `ascl` was not loaded" in out.stderr
