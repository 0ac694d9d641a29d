"""verl's synchronous trainer, which tells the estimators what verl does not (`trainer.v1.trainer_mode=ascl_sync`).

One step of verl is overridden, and only wrapped: before `_compute_advantage`, the rows' consultations, kinds and
decision tokens are read from where the reward function and the rollout have put them.
"""

from typing import TYPE_CHECKING, Any

import torch
import transfer_queue as tq
from verl.trainer.ppo.v1 import PPOTrainerSync, register_trainer

from ascl.adapters.verl.estimators import ALGORITHMS
from ascl.adapters.verl.facts import Facts, known
from ascl.chat.dialects import dialect_for
from ascl.chat.messages import Trajectory
from ascl.chat.render import Renderer
from ascl.train.decision import decision_length

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from tensordict import TensorDict

MODE = "ascl_sync"


@register_trainer(MODE)
class ConsultTrainer(PPOTrainerSync):
    """PPOTrainerSync with `Facts` for the estimators."""

    def __init__(self, config: "DictConfig") -> None:
        config.trainer.v1.trainer_mode = "sync"  # verl asks for this name wherever the modes differ
        super().__init__(config)

    def _compute_advantage(self, batch: tq.KVBatchMeta, metrics: dict[str, Any]) -> tq.KVBatchMeta:
        wanted = ["extra_fields", "responses", "response_mask"]
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=wanted)
        progress = min(1.0, max(0.0, (self.global_steps - 1) / max(1, self.total_training_steps)))
        facts = facts_of(data, self.tokenizer, self.config.algorithm.adv_estimator, progress)
        real = torch.tensor([not tag.get("is_padding", False) for tag in batch.tags])
        metrics["ascl/consulted"] = facts.consulted[real].float().mean().item()
        with known(facts):
            return super()._compute_advantage(batch, metrics)


def facts_of(data: "TensorDict", tokenizer: Any, estimator: str, progress: float) -> Facts:
    """The facts of a batch as TransferQueue gives it: extra_fields, responses and response_mask of every row.

    The decision tokens are counted where the algorithm needs them.
    Raises KeyError where the reward function was not ours.
    """
    said = [fields["reward_extra_info"] for fields in data.pop("extra_fields").tolist()]
    lengths = [0] * len(said)
    algorithm = ALGORITHMS.get(estimator)
    if algorithm is not None and "decision_tokens" in algorithm.needs:
        renderer = Renderer(tokenizer, dialect_for(tokenizer.chat_template, tokenizer.get_added_vocab()))
        pairs = zip(data["responses"].unbind(), data["response_mask"].unbind(), strict=True)
        lengths = [
            decision_length(
                Trajectory(
                    prompt_id="row",
                    messages=[],
                    prompt_length=0,
                    completion_ids=ids.tolist(),
                    completion_mask=mask.tolist(),
                ),
                renderer,
            )
            for ids, mask in pairs
        ]
    return Facts(
        consulted=torch.tensor([bool(row["consulted"]) for row in said]),
        harmful=torch.tensor([bool(row["harmful"]) for row in said]),
        decision_length=torch.tensor(lengths),
        progress=progress,
    )
