"""RL with TRL's GRPOTrainer: our rollout loop, our reward, and the advantages of the chosen algorithm.

The rollouts come through TRL's `rollout_func`, so that training walks the same loop as evaluation and serving, with
the sampled ids kept as they are and tool tokens masked. `ConsultTrainer` puts the advantages of `advantages/` in the
place of TRL's; with algorithm grpo it is stock GRPO.
"""

import os
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from pydantic import BaseModel
from trl import GRPOConfig, GRPOTrainer

from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.load import question
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError
from ascl.files import append_jsonl, read_finished, write_jsonl
from ascl.judges.judge import Case, Judge, unread
from ascl.judges.record import record
from ascl.saved import checked
from ascl.train.advantages import BaseAlgorithm
from ascl.train.checkpoints import (
    accumulation,
    callbacks,
    digest,
    finish,
    last_checkpoint,
    same_run,
    train,
    trainable_model,
    trainer_arguments,
)
from ascl.train.cpu import fit_trl_to_cpu
from ascl.train.decision import decision_length
from ascl.train.exploration import behaviour_share, mode_log_ratio
from ascl.train.installed import check_installed
from ascl.train.prompt_order import prompt_order
from ascl.train.reward_function import RewardFunction
from ascl.train.rollouts import BOOK, Rollouts
from ascl.train.settings import RlSettings
from ascl.train.training import ROLLOUTS, Training


class ConsultTrainer(GRPOTrainer):
    """GRPOTrainer with the advantages of `algorithm`, which logs every rollout.

    TRL 1.16 computes advantages inside `_generate_and_score_completions` (private, hence the pinned version and a
    contract test): rewards and consult flags of all processes are gathered, weighed by group, and the local slice put
    in the place of TRL's.
    """

    def __init__(
        self,
        *args: Any,
        algorithm: BaseAlgorithm,
        settings: RlSettings,
        renderer: Renderer,
        rollout_log: Path | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.algorithm, self.settings, self.renderer, self.rollout_log = algorithm, settings, renderer, rollout_log

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        reward_function: Any = self.reward_funcs[0]
        rewards = self._grouped([reward.total if reward else torch.nan for *_, reward in reward_function.batch])
        harmful = self._grouped([prompt.kind is Kind.HARMFUL for prompt, *_ in reward_function.batch])
        consulted = self._grouped([row["trajectory"].consulted for row in inputs])
        progress = min(1.0, self.state.global_step / max(1, self.state.max_steps))
        decision, content = self.algorithm.advantages(rewards, consulted, harmful, progress)
        output["advantages"] = self._local(content)
        half, apart = self.algorithm.exploration == "half", "decision_tokens" in self.algorithm.needs
        chosen_at: list[int] = []
        if half or apart:
            chosen_at = [decision_length(row["trajectory"], self.renderer) for row in inputs]
        if apart:
            positions = torch.arange(output["completion_ids"].shape[1], device=content.device)
            choosing = positions[None, :] < torch.tensor(chosen_at, device=content.device)[:, None]
            output["advantages"] = torch.where(choosing, self._local(decision)[:, None], self._local(content)[:, None])
        if half:
            self._correct_old_log_probabilities(output, inputs, chosen_at)
        self._log_advantages(decision, content, consulted)
        return output

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """TRL's loss, which is 0 where all advantages are, with gradient 0: the model does not read such a micro-batch.

        Its entropy and clipping are then no part of TRL's means. Of several processes each must read, as those means
        are gathered from all; so must a mixture of experts, whose router has a loss of its own.
        """
        if self.accelerator.num_processes > 1 or self.aux_loss_enabled or inputs["advantages"].any():
            return super()._compute_loss(model, inputs)
        return torch.stack([p.flatten()[0] * 0 for p in model.parameters() if p.requires_grad]).sum()

    def _grouped(self, values: list[Any]) -> torch.Tensor:
        """The values of all processes' rollouts, [groups, G]."""
        local = torch.tensor(values, device=self.accelerator.device)
        return self.accelerator.gather(local).view(-1, self.num_generations)

    def _local(self, everywhere: torch.Tensor) -> torch.Tensor:
        """This process's rollouts of a [groups, G] tensor."""
        flat = everywhere.flatten()
        size = len(flat) // self.accelerator.num_processes
        return flat[self.accelerator.process_index * size :][:size]

    def _correct_old_log_probabilities(
        self,
        output: dict[str, Any],
        inputs: list[dict[str, Any]],
        chosen_at: list[int],
    ) -> None:
        """Say how likely the mode of each rollout was as it was sampled, on the token that chose it."""
        counts = torch.tensor([row["candidates"] for row in inputs], device=self.accelerator.device)
        everywhere = self.accelerator.gather(counts).view(-1, self.num_generations, 3)
        consulting, sampled, _ = everywhere.sum(dim=1).unbind(-1)
        share = ((consulting + 0.5) / (sampled + 1))[:, None]  # never quite 0 or 1
        behaviour = behaviour_share(share, self.algorithm.candidates, "half", self.settings.group_size)
        off_by = self._local(mode_log_ratio(share, behaviour, everywhere[:, :, 2] > 0))
        if "old_per_token_logps" not in output:
            ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
            mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
            with torch.no_grad():
                output["old_per_token_logps"], *_ = self._get_per_token_logps_and_entropies(
                    self.model, ids, mask, output["completion_ids"].shape[1], self.args.per_device_train_batch_size
                )
        for row, (position, ratio) in enumerate(zip(chosen_at, off_by.tolist(), strict=True)):
            if position:
                output["old_per_token_logps"][row, position - 1] += ratio

    def _log_advantages(self, decision: torch.Tensor, content: torch.Tensor, consulted: torch.Tensor) -> None:
        """Put the advantages of the decision into TRL's table, the weights into its metrics, both into our log."""
        logged: Any = self._logs["advantages"]
        for _ in range(content.numel()):
            logged.pop()
        logged.extend(decision.flatten().tolist())
        weights = self.algorithm.weights(consulted)
        for name, mode in (("weight_consult", consulted), ("weight_direct", ~consulted)):
            if mode.any():
                self._metrics["train"][name].append(weights[mode].mean().item())
        if self.rollout_log is not None:
            self._log_rollouts(self.rollout_log, *(self._local(t).tolist() for t in (decision, content, weights)))

    def _log_rollouts(
        self, rollout_log: Path, decision: list[float], content: list[float], weights: list[float]
    ) -> None:
        first = self.accelerator.process_index * len(content)
        rewards: Any = self.reward_funcs[0]
        rows = []
        for i, (prompt, trajectory, verdict, reward) in enumerate(rewards.batch):
            said = verdict or unread(rewards.judge.name, Case(prompt, trajectory))
            entry = record(rollout_log.parent.stem, prompt, trajectory, said)
            entry.reward, entry.step = reward and reward.model_dump(), self.state.global_step + 1
            entry.group = (first + i) // self.num_generations
            entry.advantage, entry.decision_advantage, entry.weight = content[i], decision[i], weights[i]
            rows.append(entry.model_dump(mode="json"))
        rows = gather_object(rows)
        if self.accelerator.is_main_process:
            append_jsonl(rollout_log, rows)


def rl_dataset(prompts: list[Prompt], tool: ConsultTool) -> list[dict[str, Any]]:
    """The rows TRL iterates over: the prompt's messages in the `ascl` form, and its id.

    TRL gives a rollout function the messages alone: the last one carries how the rule book differs, where it does.
    """
    rows = []
    for prompt in prompts:
        shown = with_rules("ascl", question(prompt), tool.under(prompt.book))
        messages = [message.for_template() for message in shown]
        if prompt.book is not None:
            messages[-1][BOOK] = prompt.book.model_dump_json()
        rows.append({"prompt": messages, "prompt_id": prompt.id})
    return rows


def grpo_config(settings: RlSettings, work: Path, seed: int, dtype: str) -> GRPOConfig:
    """TRL's configuration in the paper's setting: no KL, no entropy bonus, token-mean (`dapo`) loss."""
    rollouts = settings.prompts_per_step * settings.group_size
    return GRPOConfig(
        **trainer_arguments(settings, work, seed, dtype),
        shuffle_dataset=False,
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=accumulation(rollouts, settings.micro_batch_size),
        num_generations=settings.group_size,
        max_completion_length=settings.max_tokens,
        temperature=settings.temperature,
        beta=0.0,
        loss_type="dapo",
        ddp_timeout=30 * 24 * 3600,  # a judge that is down is waited for, and the other processes wait as well
        **_generation(settings),
    )


def _generation(settings: RlSettings) -> dict[str, Any]:
    """TRL's vLLM arguments. `token_truncate`: TRL's default drops a long (that is, consulting) rollout as a whole."""
    if settings.vllm == "off":
        return {}
    return {
        "use_vllm": True,
        "vllm_mode": settings.vllm,
        "vllm_server_base_url": settings.vllm_server if settings.vllm == "server" else None,
        "vllm_gpu_memory_utilization": settings.vllm_gpu_memory,
        "vllm_importance_sampling_mode": "token_truncate",
    }


class _Logged(BaseModel):
    """What of a rollout on disk a resumed training reads."""

    step: int


def run_rl(
    training: Training,
    prompts: list[Prompt],
    tool: ConsultTool,
    judge: Judge,
    algorithm: BaseAlgorithm,
    settings: RlSettings,
) -> None:
    """Train a model by RL on `prompts` and leave a loadable folder at `training.out`, its rollouts in it.

    Resumes from the last whole checkpoint; rollouts logged after it are dropped and sampled again.
    Raises InputError on an empty prompt set.
    """
    from datasets import Dataset

    if not prompts:
        raise InputError("RL: the prompt set is empty (no train prompt of the kinds named in rl.kinds)")
    check_installed(settings)
    fit_trl_to_cpu()
    renderer, rows, log = training.renderer, rl_dataset(prompts, tool), training.work / ROLLOUTS
    facts = {
        "prompts": digest(rows),
        "rule book": tool.book.hash,
        "judge": judge.name,
        "algorithm": algorithm.model_dump(mode="json"),
        "settings": settings.model_dump(mode="json"),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }
    same_run(training.work, training.facts() | facts)
    checkpoint = last_checkpoint(training.work)
    done = int(checkpoint.rsplit("-", 1)[1]) if checkpoint else 0
    logged = [(checked(_Logged, row, f"{log}: a rollout"), row) for row in read_finished(log)]
    write_jsonl(log, [row for rollout, row in logged if rollout.step <= done])
    arguments = grpo_config(settings, training.work, training.seed, training.dtype)
    if settings.vllm != "off":  # a base model's own end of text may be another
        ends = renderer.tokenizer.convert_tokens_to_ids(list(renderer.dialect.ends))
        arguments.generation_kwargs = {"stop_token_ids": ends}
    trainer = ConsultTrainer(
        model=trainable_model(training),
        reward_funcs=RewardFunction(prompts, judge, settings.reward),
        args=arguments,
        train_dataset=Dataset.from_list(
            [rows[i] for i in prompt_order([p.kind for p in prompts], settings, training.seed)],
            on_mixed_types="use_json",  # the arguments of earlier tool calls
        ),
        processing_class=renderer.tokenizer,
        rollout_func=Rollouts(renderer, tool, settings, training.seed, algorithm),
        callbacks=callbacks(training.out.name),
        algorithm=algorithm,
        settings=settings,
        renderer=renderer,
        rollout_log=log,
    )
    train(trainer, checkpoint)
    about = {"method": "rl", "data": f"{len(prompts)} prompts", "tools": [tool.schema]}
    finish(trainer, training, about)
