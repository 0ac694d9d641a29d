"""Our trainer's one step: the facts of a batch in verl's form, and the whole step with verl's TransferQueue (Ray)."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("verl", reason="needs the extra `verl`, an environment of its own: `make test-verl`")

import ray
import torch
import transfer_queue as tq
from omegaconf import OmegaConf
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from ascl.adapters.verl.estimators import ALGORITHMS
from ascl.adapters.verl.launch import task_runner
from ascl.adapters.verl.trainer import ConsultTrainer, facts_of

DIRECT = "<think>\nFine.\n</think>\n\nYes."
REWARDS = [1.5, 0.0, 0.5, 1.1, 1.5, 0.6]
CONSULTED = [True, False, False, False, True, False]  # the fourth made a call that failed

needs_ray = pytest.mark.skipif("ASCL_RAY" not in os.environ, reason="starts a Ray cluster: set ASCL_RAY=1")


@pytest.fixture(scope="module")
def queue() -> Iterator[None]:
    slow = {"worker_register_timeout_seconds": 600}
    ray.init(num_cpus=4, include_dashboard=False, object_store_memory=100_000_000, _system_config=slow)
    tq.init(OmegaConf.create({"backend": {"SimpleStorage": {"num_data_storage_units": 1}}}))
    yield
    tq.close()
    ray.shutdown()


def trainer_of(algorithm: str, tokenizer: Any) -> ConsultTrainer:
    """A trainer with as much of verl's state as the step reads; its workers would need GPUs."""
    trainer = ConsultTrainer.__new__(ConsultTrainer)
    algorithm_section = {"adv_estimator": algorithm, "use_kl_in_reward": False, "gamma": 1.0, "lam": 1.0}
    trainer.config = OmegaConf.create(
        {"algorithm": algorithm_section, "actor_rollout_ref": {"rollout": {"n": len(REWARDS)}}}
    )
    trainer.tokenizer = tokenizer
    trainer.global_steps, trainer.total_training_steps = 11, 40
    return trainer


def rows_of(uid: str, tokenizer: Any) -> list[dict[str, Any]]:
    """A group's rows as verl's agent loop puts them into the queue."""
    first, second = (tokenizer.encode(text, add_special_tokens=False) for text in (DIRECT, "No.<|im_end|>"))
    rows = []
    for i, (reward, consulted) in enumerate(zip(REWARDS, CONSULTED, strict=True)):
        two_turns = consulted or i == 3
        ids = first + ([5, 6, 7, *second] if two_turns else [])
        mask = [1] * len(first) + ([0] * 3 + [1] * len(second) if two_turns else [])
        scores = torch.zeros(len(ids))
        scores[-1] = reward
        rows.append(
            {
                "uid": uid,
                "responses": torch.tensor(ids),
                "response_mask": torch.tensor(mask),
                "rm_scores": scores,
                "rollout_log_probs": torch.zeros(len(ids)),
                "old_log_probs": torch.zeros(len(ids)),
                "extra_fields": {"reward_extra_info": {"consulted": float(consulted), "harmful": float(i >= 5)}},
            }
        )
    return rows


def choosing(tokenizer: Any) -> int:
    """How many tokens of `DIRECT` choose the mode: its thought, and the first token behind it that is not blank."""
    return len(tokenizer.encode("<think>\nFine.\n</think>\n\nY", add_special_tokens=False))


def test_the_facts_are_what_reward_and_rollout_put_beside_each_row(qwen_tokenizer: Any) -> None:
    data = list_of_dict_to_tensordict(rows_of("a", qwen_tokenizer))
    facts = facts_of(data, qwen_tokenizer, "ascl_decoupled", 0.25)
    assert facts.consulted.tolist() == CONSULTED  # not the fourth, whatever its mask looks like
    assert facts.harmful.tolist() == [False] * 5 + [True]
    assert facts.decision_length.tolist() == [choosing(qwen_tokenizer)] * len(REWARDS)
    assert facts.progress == 0.25


def test_another_reward_function_is_an_error(qwen_tokenizer: Any) -> None:
    rows = [row | {"extra_fields": {}} for row in rows_of("a", qwen_tokenizer)]
    with pytest.raises(KeyError, match="reward_extra_info"):
        facts_of(list_of_dict_to_tensordict(rows), qwen_tokenizer, "ascl_ifpo", 0.0)


@needs_ray
@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_step_gives_the_advantages_of_the_pure_functions(queue: None, name: str, qwen_tokenizer: Any) -> None:
    rows = rows_of(name, qwen_tokenizer)
    keys = [f"{name}_{i}_0" for i in range(len(rows))]
    masks = [row["response_mask"] for row in rows]
    tags = [{"status": "success"} for _ in keys]
    tq.kv_batch_put(keys=keys, partition_id="train", fields=list_of_dict_to_tensordict(rows), tags=tags)
    batch = tq.KVBatchMeta(partition_id="train", keys=keys, tags=tags)
    metrics: dict[str, Any] = {}
    trainer_of(name, qwen_tokenizer)._compute_advantage(batch, metrics)
    got = tq.kv_batch_get(keys=keys, partition_id="train", select_fields=["advantages"])["advantages"].unbind()

    harmful = torch.tensor([[row["extra_fields"]["reward_extra_info"]["harmful"] > 0 for row in rows]])
    algorithm = ALGORITHMS[name]()
    decision, content = algorithm.advantages(torch.tensor([REWARDS]), torch.tensor([CONSULTED]), harmful, 0.25)
    first = choosing(qwen_tokenizer)
    for i, (advantages, mask) in enumerate(zip(got, masks, strict=True)):
        wanted = torch.where(torch.arange(len(mask)) < first, decision[0, i], content[0, i]) * mask
        torch.testing.assert_close(advantages, wanted, atol=1e-5, rtol=1e-5)
    assert metrics["ascl/consulted"] == pytest.approx(2 / 6)


@needs_ray
def test_the_task_runners_own_process_knows_our_trainer(queue: None) -> None:
    config = OmegaConf.create({"trainer": {"v1": {"trainer_mode": "nonsense"}}})
    with pytest.raises(ray.exceptions.RayTaskError, match="Available trainers: ascl_sync"):
        ray.get(task_runner().remote().run.remote(config))
