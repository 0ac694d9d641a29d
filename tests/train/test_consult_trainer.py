"""The trainer: stock GRPO where the weights are one, GRPO's advantages times IFPO's weights elsewhere."""

from pathlib import Path
from typing import Any

import pytest
import torch
import trl.trainer.utils as trl_utils
from scripted_rollouts import GROUP, plan
from trainers import SETTINGS, Make, one_batch
from trl import GRPOTrainer
from trl.kernels import chunked_logprob

from ascl.chat.render import Renderer
from ascl.files import read_finished
from ascl.train.advantages import Grpo, Ifpo
from ascl.train.advantages.grpo import grpo_advantages
from ascl.train.cpu import fit_trl_to_cpu
from ascl.train.rl import ConsultTrainer
from ascl.train.settings import Lora


def trained(trainer: GRPOTrainer) -> dict[str, torch.Tensor]:
    """The trainable parameters after training, some of which must have moved."""
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad}
    trainer.train()
    after = {name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad}
    assert any(not torch.equal(after[name], before[name]) for name in before)
    return after


@pytest.mark.parametrize("lora", [None, Lora(r=4, alpha=8)], ids=["full", "lora"])
def test_without_weights_the_trainer_is_stock_grpo(make: Make, lora: Lora | None) -> None:
    stock = trained(make(GRPOTrainer, lora))

    def is_stock(**options: Any) -> bool:
        found = trained(make(ConsultTrainer, lora, **options))
        return found.keys() == stock.keys() and all(torch.equal(found[name], stock[name]) for name in found)

    assert is_stock()
    assert is_stock(algorithm=Ifpo(tau=0))
    assert not is_stock(algorithm=Ifpo())


class SecondAlike(Grpo):
    """GRPO where the second of a step's prompts gave all its rollouts one reward."""

    def advantages(self, rewards: torch.Tensor, *others: Any) -> tuple[torch.Tensor, torch.Tensor]:
        rewards = rewards.clone()
        rewards[1] = 1.5
        return super().advantages(rewards, *others)


def test_groups_without_spread_are_not_read_and_the_training_is_the_same(make: Make) -> None:
    def noting(trainer: GRPOTrainer) -> list[int]:
        """How many rows the model reads to learn, as it does so."""
        whole, read = trainer._get_per_token_logps_and_entropies, list[int]()

        def noted(model: Any, ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            read.append(len(ids))
            return whole(model, ids, *args, **kwargs)

        trainer._get_per_token_logps_and_entropies = noted
        return read

    ours, stock = make(ConsultTrainer, algorithm=SecondAlike()), make(ConsultTrainer, algorithm=SecondAlike())
    stock._compute_loss = lambda model, inputs: GRPOTrainer._compute_loss(stock, model, inputs)
    few, all_ = noting(ours), noting(stock)
    after, expected = trained(ours), trained(stock)
    assert all(torch.equal(after[name], expected[name]) for name in expected)
    assert 3 * sum(few) == 2 * sum(all_) > 0


def test_a_micro_batch_holds_the_rollouts_of_one_prompt(make: Make) -> None:
    trainer, seen = make(ConsultTrainer), []
    whole = trainer._compute_loss

    def noted(model: Any, inputs: dict[str, Any]) -> Any:
        seen.append(inputs["prompt_ids"])
        return whole(model, inputs)

    trainer._compute_loss = noted
    trainer.train()
    assert len(seen) == SETTINGS.max_steps * SETTINGS.prompts_per_step * GROUP // SETTINGS.micro_batch_size
    assert all(torch.equal(ids, ids[:1].expand_as(ids)) for ids in seen)


def test_advantages_are_grpos_times_the_weights_of_the_consult_flags(make: Make, tmp_path: Path) -> None:
    log = tmp_path / "ifpo.trainer" / "rollouts.jsonl"
    trainer = make(ConsultTrainer, algorithm=Ifpo(), rollout_log=log)
    inputs, output = one_batch(trainer)

    planned = [plan(x["prompt"][-1]["content"], i % GROUP)[0] for i, x in enumerate(inputs)]
    flags = torch.tensor([mode == "consult" for mode in planned]).view(-1, GROUP)
    assert "fault" in planned  # a call that failed is no consultation
    assert any(0 < row.sum() < GROUP for row in flags)

    rows = read_finished(log)
    rewards = torch.tensor([row["reward"]["total"] for row in rows]).view(-1, GROUP)
    assert all(len(set(row.tolist())) > 1 for row in rewards)
    expected = grpo_advantages(rewards) * Ifpo().weights(flags)
    torch.testing.assert_close(output["advantages"].view(-1, GROUP), expected)

    # The rollout log and TRL's own log say the same.
    assert [row["advantage"] for row in rows] == output["advantages"].tolist()
    assert list(trainer._logs["advantages"]) == pytest.approx(output["advantages"].tolist())
    assert [row["weight"] for row in rows] == Ifpo().weights(flags).flatten().tolist()
    assert [row["group"] for row in rows] == [i // GROUP for i in range(len(inputs))]
    assert [row["prompt"]["id"] for row in rows] == [x["prompt_id"] for x in inputs]
    assert {row["step"] for row in rows} == {1}
    assert {row["variant"] for row in rows} == {"ifpo"}


def test_the_log_tells_rewards_rates_and_weights_of_each_step(make: Make) -> None:
    trainer = make(ConsultTrainer, algorithm=Ifpo())
    trainer.train()
    steps = [row for row in trainer.state.log_history if "reward" in row]
    assert len(steps) == SETTINGS.max_steps
    for row in steps:
        parts = {f"reward_{part}" for part in ("safety", "compliance", "hallucination", "format", "faults")}
        assert parts | {"loss", "entropy", "weight_consult", "weight_direct"} <= set(row)
        assert {"consult_rate_harmful", "consult_rate_sensitive"} & set(row)


def test_tool_results_carry_no_loss(make: Make, renderer: Renderer) -> None:
    inputs, output = one_batch(make(ConsultTrainer))
    for row, ids, kept, own in zip(
        inputs, output["completion_ids"], output["completion_mask"], output["tool_mask"], strict=True
    ):
        trained_ids = ids[(kept * own).bool()].tolist()
        masked = renderer.tokenizer.decode(ids[(kept * (1 - own)).bool()])
        said = renderer.tokenizer.decode(trained_ids)
        turns = [m for m in row["trajectory"].completion if m.role == "assistant"]
        assert said.count("<|im_end|>") == len(turns)
        assert "<tool_response>" not in said
        assert ("<tool_response>" in masked) == (len(turns) > 1)
        assert all(m.content in masked for m in row["trajectory"].completion if m.role == "tool")


def test_scoring_labelled_tokens_only_keeps_the_loss(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    losses, gradients = [], []
    for shortened in (False, True):
        monkeypatch.setattr(trl_utils, "_use_triton", chunked_logprob._use_triton)
        if shortened:
            fit_trl_to_cpu()
        trainer = make(ConsultTrainer)
        _, output = one_batch(trainer)
        trainer.current_gradient_accumulation_steps = 1
        loss = trainer.compute_loss(trainer.model, output)
        loss.backward()
        losses.append(loss.item())
        gradients.append([p.grad for p in trainer.model.parameters()])
    assert losses[0] != 0
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for whole, short in zip(*gradients, strict=True):
        torch.testing.assert_close(short, whole, rtol=1e-4, atol=1e-6)
