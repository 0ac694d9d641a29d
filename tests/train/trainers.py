"""Trainers of the tiny model in fp32, to be looked into: one generation batch, or a whole training of three steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from scripted_rollouts import GROUP, PROMPTS
from trl import GRPOTrainer

from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.files import read_finished
from ascl.judges.lexical.offline import OfflineJudge
from ascl.train.advantages import BaseAlgorithm, Grpo
from ascl.train.checkpoints import trainable_model
from ascl.train.decision import decision_length
from ascl.train.prompt_order import prompt_order
from ascl.train.reward import RewardWeights
from ascl.train.reward_function import RewardFunction
from ascl.train.rl import ConsultTrainer, grpo_config, rl_dataset
from ascl.train.rollouts import Rollouts
from ascl.train.settings import Lora, RlSettings
from ascl.train.training import Training

Make = Callable[..., GRPOTrainer]
SETTINGS = RlSettings(
    group_size=GROUP, prompts_per_step=3, micro_batch_size=4, learning_rate=1e-2, max_steps=3, max_tokens=8
)


def maker(model: Path, renderer: Renderer, tool: ConsultTool, work: Path) -> Make:
    """What makes a trainer of a class: `make(GRPOTrainer)`, `make(ConsultTrainer, algorithm=..)`."""
    rows = rl_dataset(PROMPTS, tool)

    def make(cls: type[GRPOTrainer], lora: Lora | None = None, **options: Any) -> GRPOTrainer:
        algorithm = options.get("algorithm", Grpo())
        if cls is ConsultTrainer:
            options |= {"algorithm": algorithm, "settings": SETTINGS, "renderer": renderer}
        training = Training(model=str(model), renderer=renderer, out=work, lora=lora, seed=3, dtype="float32")
        return cls(
            model=trainable_model(training),
            reward_funcs=RewardFunction(PROMPTS, OfflineJudge(), RewardWeights()),
            args=grpo_config(SETTINGS, work, 3, "float32"),
            train_dataset=Dataset.from_list([rows[i] for i in prompt_order([p.kind for p in PROMPTS], SETTINGS, 3)]),
            processing_class=renderer.tokenizer,
            rollout_func=Rollouts(renderer, tool, SETTINGS, 3, algorithm),
            **options,
        )

    return make


def of_groups(rows: list[dict[str, Any]], read: Callable[[dict[str, Any]], Any]) -> torch.Tensor:
    """What is read in each row, as [groups, G]."""
    return torch.tensor([read(row) for row in rows]).view(-1, GROUP)


def assert_credit(make: Make, log: Path, algorithm: BaseAlgorithm) -> list[dict[str, Any]]:
    """The tokens that choose have the decision's advantage, the others the content's. Gives the rollout log."""
    trainer = make(ConsultTrainer, algorithm=algorithm, rollout_log=log)
    inputs, output = one_batch(trainer)
    rows, found = read_finished(log), output["advantages"]
    rewards = of_groups(rows, lambda row: row["reward"]["total"])
    harmful = of_groups(rows, lambda row: row["prompt"]["kind"] == "harmful")
    consulted = of_groups(inputs, lambda row: row["trajectory"].consulted)
    decision, content = (part.flatten() for part in algorithm.advantages(rewards, consulted, harmful, 0))
    assert not torch.equal(decision, content)
    assert found.shape == output["completion_ids"].shape
    for i, row in enumerate(inputs):
        length = decision_length(row["trajectory"], trainer.renderer)
        assert 0 < length < found.shape[1]
        assert found[i, :length].tolist() == pytest.approx([decision[i].item()] * length)
        assert found[i, length:].tolist() == pytest.approx([content[i].item()] * (found.shape[1] - length))
    assert [row["advantage"] for row in rows] == pytest.approx(content.tolist())
    assert [row["decision_advantage"] for row in rows] == pytest.approx(decision.tolist())
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))
    return rows


def one_batch(trainer: GRPOTrainer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """One generation batch as the dataloader gives it, and what the trainer makes of it."""
    inputs = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    return inputs, trainer._generate_and_score_completions(inputs)
