"""The shipped configs compose with verl's own and pass its checks; what is wrong is said at the start."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("verl", reason="needs the extra `verl`, an environment of its own: `make test-verl`")

from verl.trainer.ppo.v1 import PPOTrainerSync, get_trainer_cls
from verl.utils.config import omega_conf_to_dataclass

from ascl.adapters.verl.launch import check, composed, task_runner
from ascl.errors import InputError

CONFIGS = Path(__file__).parents[3] / "configs" / "verl"
MODEL = "actor_rollout_ref.model.path=/models/sft"


@pytest.mark.parametrize(("name", "gpus"), [("one_node", 8), ("many_nodes", 32)])
def test_the_shipped_configs_hold_the_papers_settings_and_pass_verls_checks(name: str, gpus: int) -> None:
    config = composed(CONFIGS / f"{name}.yaml", [MODEL])
    check(config)
    assert config.trainer.nnodes * config.trainer.n_gpus_per_node == gpus
    assert config.algorithm.adv_estimator == "ascl_ifpo" and config.algorithm.ascl.tau == 0.5
    assert config.data.train_batch_size == config.actor_rollout_ref.actor.ppo_mini_batch_size == 16
    rollout: Any = omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
    assert (rollout.n, rollout.response_length, rollout.name) == (8, 8192, "vllm")
    assert rollout.multi_turn.max_tool_response_length == 100_000
    actor: Any = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    assert (actor.optim.lr, actor.optim.lr_warmup_steps_ratio, actor.optim.lr_scheduler_type) == (1e-6, 0.1, "cosine")
    assert (actor.use_kl_loss, actor.entropy_coeff, actor.loss_agg_mode) == (False, 0, "token-mean")
    assert config.reward.custom_reward_function.reward_kwargs.model == "/models/sft"
    assert Path(config.data.function_tool_path).name == "function_tool.py"


def test_overrides_reach_verls_keys_and_ours() -> None:
    config = composed(CONFIGS / "one_node.yaml", [MODEL, "algorithm.ascl.tau=1", "trainer.n_gpus_per_node=2"])
    assert config.algorithm.ascl.tau == 1 and config.trainer.n_gpus_per_node == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["algorithm.adv_estimator=ascl_nothing"], "ascl_nothing"),
        (["+algorithm.ascl.tua=1"], "unknown tua"),
        (["algorithm.adv_estimator=ascl_decoupled", "trainer.v1.trainer_mode=sync"], "needs trainer.v1.trainer_mode"),
        (["reward.custom_reward_function.reward_kwargs.max_turns=5"], "same number"),
    ],
)
def test_what_would_go_wrong_later_is_said_at_once(overrides: list[str], message: str) -> None:
    with pytest.raises((InputError, ValueError), match=message):
        check(composed(CONFIGS / "one_node.yaml", [MODEL, *overrides]))


def test_an_unknown_key_and_a_missing_file_are_input_errors() -> None:
    with pytest.raises(InputError, match="actor_rollout_reff"):
        composed(CONFIGS / "one_node.yaml", ["actor_rollout_reff.model.path=x"])
    with pytest.raises(InputError, match="no such config"):
        composed(CONFIGS / "nowhere.yaml", [])


def test_our_trainer_and_task_runner_are_verls_own_with_more() -> None:
    assert task_runner().__ray_metadata__.modified_class.__mro__[1].__name__ == "TaskRunnerV1"
    assert issubclass(get_trainer_cls("ascl_sync"), PPOTrainerSync)
