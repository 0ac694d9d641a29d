"""RL with TRL's GRPOTrainer: our rollout loop, our reward, and the advantages weighed by IFPO.

The rollouts come through TRL's `rollout_func`, so that training walks the same loop as evaluation and serving, with
the sampled ids kept as they are and tool tokens masked. `ConsultTrainer` multiplies the advantages TRL computed by
weights of the consult flags; with weights of 1 (tau = 0, or algorithm grpo) it is stock GRPO.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate.utils import gather_object
from transformers import PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from ascl.chat.clients.in_process import InProcessClient
from ascl.chat.clients.sampling import Sampling
from ascl.chat.messages import Trajectory, message_of
from ascl.chat.render import Renderer
from ascl.consult.rollout import rollout, start
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import with_rules
from ascl.errors import InputError
from ascl.files import append_jsonl, read_finished, write_jsonl
from ascl.judges.record import Judge, judge_trajectory, record
from ascl.prompts.prompt import Prompt
from ascl.prompts.sources import question
from ascl.train.advantages.ifpo import ifpo_weights
from ascl.train.checkpoints import accumulation, callbacks, finish, last_checkpoint, precision, trainable_model
from ascl.train.cpu import score_labelled_tokens_only
from ascl.train.reward import Reward, RewardWeights, score
from ascl.train.settings import Lora, RlSettings

Algorithm = Literal["grpo", "ifpo"]
Weigh = Callable[[torch.Tensor], torch.Tensor]


def weights_of(algorithm: Algorithm, settings: RlSettings) -> Weigh | None:
    """From consult flags (bool [groups, G]) to advantage weights (float [groups, G]); None leaves GRPO as it is."""
    if algorithm == "grpo":
        return None
    return lambda consulted: ifpo_weights(consulted, settings.tau, settings.w_min, settings.w_max)


class Rollouts:
    """TRL's `rollout_func`: walks every prompt of a generation batch through the rollout loop.

    Sampling seeds depend on the run's seed, the optimiser step and the process only, so a resumed run samples what an
    uninterrupted one would have.
    """

    def __init__(self, renderer: Renderer, tool: ConsultTool, settings: RlSettings, seed: int) -> None:
        self.renderer, self.tool, self.settings, self.seed = renderer, tool, settings, seed

    def __call__(self, prompts: list[list[dict[str, Any]]], trainer: GRPOTrainer) -> dict[str, Any]:
        """The ids, the mask of model tokens (`env_mask`) and the trajectory of each prompt's rollout."""
        step, process = trainer.state.global_step, trainer.accelerator.process_index
        sampling = Sampling(
            temperature=self.settings.temperature,
            max_tokens=self.settings.max_tokens,
            seed=(self.seed * 1_000_003 + step * 10_007 + process * 101) % 2**31,
        )
        client = InProcessClient(trainer.accelerator.unwrap_model(trainer.model), self.renderer)
        trajectories = [start("", [message_of(message) for message in prompt]) for prompt in prompts]
        rollout(client, trajectories, self.tool, sampling)
        return {
            "prompt_ids": [t.prompt_ids for t in trajectories],
            "completion_ids": [t.completion_ids for t in trajectories],
            "env_mask": [t.completion_mask for t in trajectories],
            "logprobs": None,
            "trajectory": trajectories,
        }


class RewardFunction:
    """TRL's reward function: judges the trajectories, logs every part, and keeps them for the rollout log."""

    __name__ = "reward"

    def __init__(self, prompts: list[Prompt], judge: Judge, weights: RewardWeights) -> None:
        self.prompts = {prompt.id: prompt for prompt in prompts}
        self.judge, self.weights = judge, weights
        self.batch: list[tuple[Prompt, Trajectory, Any, Reward]] = []

    def __call__(self, prompt_id: list[str], trajectory: list[Trajectory], log_metric: Any, **_: Any) -> list[float]:
        """The total reward of each rollout."""
        self.batch = []
        for identity, walked in zip(prompt_id, trajectory, strict=True):
            prompt = self.prompts[identity]
            walked.prompt_id = identity
            verdict = judge_trajectory(self.judge, prompt, walked)
            reward = score(prompt.kind, walked, verdict, self.weights)
            for part, value in reward.model_dump(exclude={"total"}).items():
                log_metric(f"reward_{part}", value)
            log_metric(f"consult_rate_{prompt.kind.value}", float(walked.consulted))
            self.batch.append((prompt, walked, verdict, reward))
        return [reward.total for *_, reward in self.batch]


class ConsultTrainer(GRPOTrainer):
    """GRPOTrainer whose advantages are multiplied by `weigh(consult flags)`, and which logs every rollout.

    TRL 1.16 computes advantages inside `_generate_and_score_completions` (private, hence the pinned version and a
    contract test): the flags of all processes are gathered, weighed by group, and the local slice is applied.
    """

    def __init__(self, *args: Any, weigh: Weigh | None, rollout_log: Path | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.weigh, self.rollout_log = weigh, rollout_log

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        local = torch.tensor([row["trajectory"].consulted for row in inputs], device=self.accelerator.device)
        flags = self.accelerator.gather(local).view(-1, self.num_generations)
        weights = torch.ones(flags.shape, device=flags.device) if self.weigh is None else self.weigh(flags)
        everywhere, flat = weights.flatten(), flags.flatten()
        if self.weigh is not None:
            first = self.accelerator.process_index * len(inputs)
            output["advantages"] = output["advantages"] * everywhere[first : first + len(inputs)]
            logged: Any = self._logs["advantages"]
            recent = [logged.pop() for _ in range(len(everywhere))][::-1]
            logged.extend(a * w for a, w in zip(recent, everywhere.tolist(), strict=True))
        for name, mode in (("weight_consult", flat), ("weight_direct", ~flat)):
            if mode.any():
                self._metrics["train"][name].append(everywhere[mode].mean().item())
        self._log_rollouts(output["advantages"].tolist(), everywhere)
        return output

    def _log_rollouts(self, advantages: list[float], weights: torch.Tensor) -> None:
        if self.rollout_log is None:
            return
        first = self.accelerator.process_index * len(advantages)
        rewards: Any = self.reward_funcs[0]
        rows = []
        for i, (prompt, trajectory, verdict, reward) in enumerate(rewards.batch):
            entry = record(self.rollout_log.stem, prompt, trajectory, verdict)
            entry.reward, entry.step = reward.model_dump(), self.state.global_step + 1
            entry.group = (first + i) // self.num_generations
            entry.advantage, entry.weight = advantages[i], weights[first + i].item()
            rows.append(entry.model_dump(mode="json"))
        rows = gather_object(rows)
        if self.accelerator.is_main_process:
            append_jsonl(self.rollout_log, rows)


def rl_dataset(prompts: list[Prompt], tool: ConsultTool) -> list[dict[str, Any]]:
    """The rows TRL iterates over: the prompt's messages in the `ascl` form, and its id."""
    return [
        {"prompt": [m.for_template() for m in with_rules("ascl", question(p), tool)], "prompt_id": p.id}
        for p in prompts
    ]


def prompt_order(count: int, settings: RlSettings, seed: int) -> list[int]:
    """The prompts of every step, one after the other: each pass over them is shuffled anew, and none is left out.

    TRL's own sampler, resumed in a later pass, would go through the first one again.
    """
    steps = settings.max_steps or max(1, int(count * settings.epochs) // settings.prompts_per_step)
    generator = random.Random(seed)
    order: list[int] = []
    while len(order) < steps * settings.prompts_per_step:
        order += generator.sample(range(count), count)
    return order[: steps * settings.prompts_per_step]


def grpo_config(settings: RlSettings, work: Path, seed: int, dtype: str) -> GRPOConfig:
    """TRL's configuration in the paper's setting: no KL, no entropy bonus, token-mean (`dapo`) loss."""
    rollouts = settings.prompts_per_step * settings.group_size
    return GRPOConfig(
        output_dir=str(work),
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup,
        num_train_epochs=1,  # `prompt_order` holds every pass over the prompts
        shuffle_dataset=False,
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=accumulation(rollouts, settings.micro_batch_size),
        num_generations=settings.group_size,
        max_completion_length=settings.max_tokens,
        temperature=settings.temperature,
        beta=0.0,
        loss_type="dapo",
        save_steps=settings.save_steps,
        save_total_limit=2,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        seed=seed,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        **precision(dtype),
    )


def run_rl(
    model: str,
    prompts: list[Prompt],
    renderer: Renderer,
    tool: ConsultTool,
    judge: Judge,
    out: Path,
    algorithm: Algorithm,
    settings: RlSettings,
    rewards: RewardWeights,
    lora: Lora | None,
    seed: int,
    rollout_log: Path,
    dtype: str = "bfloat16",
) -> None:
    """Train `model` by RL on `prompts` and leave a loadable folder at `out`; every rollout goes to `rollout_log`.

    Resumes from the last whole checkpoint; rollouts logged after it are dropped and sampled again.
    Raises InputError on an empty prompt set.
    """
    from datasets import Dataset

    if not prompts:
        raise InputError("RL: the prompt set is empty (no train prompt of the kinds named in rl.kinds)")
    score_labelled_tokens_only()
    work = out.with_name(f"{out.name}.trainer")
    checkpoint = last_checkpoint(work)
    done = int(checkpoint.rsplit("-", 1)[1]) if checkpoint else 0
    write_jsonl(rollout_log, [row for row in read_finished(rollout_log) if row["step"] <= done])
    rows = rl_dataset(prompts, tool)
    trainer = ConsultTrainer(
        model=trainable_model(model, dtype, lora, seed),
        reward_funcs=RewardFunction(prompts, judge, rewards),
        args=grpo_config(settings, work, seed, dtype),
        train_dataset=Dataset.from_list(
            [rows[i] for i in prompt_order(len(rows), settings, seed)],
            on_mixed_types="use_json",  # the arguments of earlier tool calls
        ),
        processing_class=renderer.tokenizer,
        rollout_func=Rollouts(renderer, tool, settings, seed),
        callbacks=callbacks(out.name),
        weigh=weights_of(algorithm, settings),
        rollout_log=rollout_log,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=checkpoint)
    finish(trainer, renderer, out, work, dtype)
