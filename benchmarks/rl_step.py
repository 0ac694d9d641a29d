"""What a step of our RL costs beside the same step of stock TRL.

    python benchmarks/rl_step.py --model runs/quickstart/arms/bc-0 [--same-rollouts] [--rounds 1]

Both train on the same prompts with the same model, LoRA, dtype, judge, group size, micro-batch and token limit. Without
--same-rollouts, stock is TRL's `GRPOTrainer` as its user writes it: SDPA attention, TRL's own `tools=[..]` loop with
our tool, TRL's parser of Hermes calls; ours is `run_rl` with algorithm ifpo. The two sample differently, so look at the
figures per token too. With --same-rollouts both are what `run_rl` builds, rollouts included, but for the class of the
trainer (`GRPOTrainer`, `ConsultTrainer`): what our trainer adds to TRL's. That is also measured by itself, within the
step, since the seconds of whole steps on a busy machine differ by more than the few milliseconds it is about.

Every run is a process of its own; --rounds alternates them. The learning rate is next to nothing, so that every step
samples from the same model. The first step of a run, which allocates, is left out of the seconds. One thread, and CPU
seconds beside wall seconds, so that others may use the machine meanwhile; on a GPU the wall seconds are what counts.
--tokens bounds a turn of ours and a whole completion of TRL's; take it large enough to bind rarely. The model must call
the tool by itself: name the checkpoint of behaviour cloning.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from datasets import Dataset
from rich.console import Console
from rich.table import Table
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOTrainer
from trl.chat_template_utils import qwen3_template

from ascl.chat.messages import Message, StopReason, Trajectory, message_of
from ascl.consult.rollout import start
from ascl.consult.tool import DESCRIPTION, TOOL_NAME, ConsultTool
from ascl.data.load import load_prompts
from ascl.data.prompt import Kind, Prompt
from ascl.judges.lexical.offline import OfflineJudge
from ascl.models import models
from ascl.models.models import load_renderer
from ascl.rules.book import RuleBook
from ascl.train import rl
from ascl.train.advantages import Ifpo
from ascl.train.checkpoints import trainable_model
from ascl.train.reward import RewardWeights
from ascl.train.reward_function import RewardFunction
from ascl.train.settings import Lora, RlSettings
from ascl.train.training import Training

PARTS = ("step", "rollout", "learning")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--micro-batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--same-rollouts", action="store_true")
    parser.add_argument("--run", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.run:
        print(json.dumps(measured(options.run, options)))
        return
    names = ("GRPOTrainer", "ConsultTrainer") if options.same_rollouts else ("stock TRL", "ours")
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            runs[name].append(in_process(__file__, "--run", name))
            print(json.dumps({name: runs[name][-1]}), flush=True)
    print_table(runs)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that say what is sampled."""
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--temperature", type=float, default=0.7)


def in_process(file: str, *arguments: str) -> dict[str, Any]:
    """What this command, with `arguments` added, prints as its last line."""
    command = [sys.executable, file, *sys.argv[1:], *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(found.stderr)
    result: dict[str, Any] = json.loads(found.stdout.strip().splitlines()[-1])
    return result


def print_table(runs: dict[str, list[dict[str, Any]]]) -> None:
    """The means of two programs over their runs, and the second's by the first's (a dash where that is nothing)."""
    table = Table("", *runs, "ratio", title="a step: one thread, means without each run's first step")

    def row(title: str, values: list[float], digits: int = 2) -> None:
        ratio = f"{values[1] / values[0]:.3f}" if values[0] else "-"
        table.add_row(title, *(f"{value:.{digits}f}" for value in values), ratio)

    def mean(*keys: str) -> list[float]:
        return [sum(sum(run[key] for key in keys) for run in part) / len(part) for part in runs.values()]

    for clock in ("CPU", "wall"):
        for part in PARTS:
            row(f"{part}, {clock} s", mean(f"{part} {clock}"))
    row("sampled tokens", mean("sampled"), 0)
    row("tokens learned from (with prompt and tool)", mean("tokens"), 0)
    row("share that consulted", mean("consulted"))
    per_sampled = [1000 * a / b for a, b in zip(mean("rollout CPU"), mean("sampled"), strict=True)]
    row("rollout CPU ms per sampled token", per_sampled)
    for part in ("rollout", "step"):
        per_second = [a / b for a, b in zip(mean("sampled"), mean(f"{part} wall"), strict=True)]
        row(f"sampled tokens a wall second of the {part}", per_second, 1)
    row("learning CPU ms per token", [1000 * a / b for a, b in zip(mean("learning CPU"), mean("tokens"), strict=True)])
    row("peak RSS, GiB", mean("peak"))
    if torch.cuda.is_available():
        row("peak of the GPU's memory, GiB", mean("peak of the GPU"))
    console = Console(width=110)
    console.print(table)
    _, step = mean("step CPU")
    _, added = mean("added CPU")
    console.print(
        f"in the second column, ConsultTrainer adds {1000 * added:.1f} ms CPU: {added / step:.2%} of its step"
    )


class Clock(TrainerCallback):
    """Seconds of every step and of its rollouts, and how many tokens they had."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start of an optimiser step, before its rollouts."""
        self.started = _now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End of an optimiser step."""
        for clock, seconds in _since(self.started).items():
            self.steps[-1][f"step {clock}"] = seconds
            self.steps[-1][f"learning {clock}"] = seconds - self.steps[-1][f"rollout {clock}"]

    def added(self, ours: Callable[..., Any], theirs: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
        """Our method and TRL's, which it calls; what ours takes on top is kept."""
        inner = 0.0

        def run_theirs(trainer: GRPOTrainer, inputs: list[dict[str, Any]]) -> dict[str, Any]:
            nonlocal inner
            started = time.process_time()
            result: dict[str, Any] = theirs(trainer, inputs)
            inner = time.process_time() - started
            self.steps[-1]["added CPU"] = 0.0
            return result

        def run_ours(trainer: GRPOTrainer, inputs: list[dict[str, Any]]) -> dict[str, Any]:
            started = time.process_time()
            result: dict[str, Any] = ours(trainer, inputs)
            self.steps[-1]["added CPU"] = time.process_time() - started - inner
            return result

        return run_ours, run_theirs

    def rollouts(self, generate: Callable[..., Any]) -> Callable[..., Any]:
        """TRL's `_generate` (the rollouts, from prompts to parsed completions), with its figures kept."""

        def run(*arguments: Any) -> Any:
            started = _now()
            result = generate(*arguments)
            prompt_ids, completion_ids, mask = result[:3]
            self.steps.append(
                {f"rollout {clock}": seconds for clock, seconds in _since(started).items()}
                | {
                    "sampled": float(sum(map(sum, mask))),
                    "tokens": float(sum(map(len, prompt_ids)) + sum(map(len, completion_ids))),
                    "consulted": sum(0 in row for row in mask) / len(mask),
                }
            )
            return result

        return run


def _now() -> dict[str, float]:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return {"CPU": time.process_time(), "wall": time.perf_counter()}


def _since(started: dict[str, float]) -> dict[str, float]:
    return {clock: now - started[clock] for clock, now in _now().items()}


def measured(name: str, options: argparse.Namespace) -> dict[str, float]:
    """A run's means over its steps but the first, and its peak memory."""
    settings = RlSettings(
        group_size=options.group,
        prompts_per_step=options.prompts,
        micro_batch_size=options.micro_batch,
        max_tokens=options.tokens,
        temperature=options.temperature,
        max_steps=options.steps,
        learning_rate=1e-12,
        save_steps=999,
    )
    clock = Clock()
    score = "_generate_and_score_completions"
    ours, theirs = clock.added(getattr(rl.ConsultTrainer, score), getattr(GRPOTrainer, score))
    with (
        TemporaryDirectory() as folder,
        patch.object(rl.ConsultTrainer, score, ours),
        patch.object(GRPOTrainer, score, theirs),
        patch.object(GRPOTrainer, "_generate", _method(clock.rollouts(GRPOTrainer._generate))),
    ):
        if name == "stock TRL":
            trainer = stock_trainer(options.model, settings, Path(folder))
            trainer.add_callback(clock)
            trainer.train()
        else:
            _run_ours(options.model, settings, Path(folder), clock, plain=name == "GRPOTrainer")
    counted = clock.steps[1:]
    found = {key: sum(step[key] for step in counted) / len(counted) for key in counted[0]}
    if torch.cuda.is_available():
        found["peak of the GPU"] = torch.cuda.max_memory_allocated() / 2**30
    return found | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2}


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, prompts: function(self, prompts)


def the_tool() -> ConsultTool:
    """The tool, as the quickstart sets it up."""
    return ConsultTool(RuleBook.load("default"), default_top_k=2)


def the_prompts() -> list[Prompt]:
    """The prompts, as the quickstart chooses them for RL."""
    return [p for p in load_prompts(["starter"]) if p.kind in (Kind.HARMFUL, Kind.SENSITIVE)]


def the_training(model: str, folder: Path) -> Training:
    """Adapters of a model, trained into a folder."""
    return Training(model=model, renderer=load_renderer(model), out=folder / "out", lora=Lora())


def _run_ours(model: str, settings: RlSettings, folder: Path, clock: Clock, plain: bool) -> None:
    """`run_rl`; with `plain`, TRL's trainer in the place of ours."""
    callbacks, trainer = rl.callbacks, rl.ConsultTrainer

    def plain_trainer(**options: Any) -> GRPOTrainer:
        ours = ("algorithm", "settings", "renderer", "rollout_log")
        return GRPOTrainer(**{name: value for name, value in options.items() if name not in ours})

    with (
        patch.object(rl, "callbacks", lambda title: [*callbacks(title), clock]),
        patch.object(rl, "ConsultTrainer", plain_trainer if plain else trainer),
    ):
        rl.run_rl(the_training(model, folder), the_prompts(), the_tool(), OfflineJudge(), Ifpo(), settings)


def stock_trainer(model: str, settings: RlSettings, folder: Path) -> GRPOTrainer:
    """TRL's trainer with TRL's own tool loop, on a model loaded as transformers loads it by default.

    SmolLM2 comes without a tool template. Our dialect's template stands in, and its turns are Hermes turns, for which
    TRL's response template of Qwen3 is right as it is.
    """
    tool, prompts = the_tool(), the_prompts()
    tokenizer = load_renderer(model).tokenizer
    tokenizer.response_template = qwen3_template
    rows = rl.rl_dataset(prompts, tool)
    with patch.object(models, "_attention", lambda path: "sdpa"), patch.object(models, "keep_freed_memory"):
        weights = trainable_model(the_training(model, folder))
    trainer = GRPOTrainer(
        model=weights,
        reward_funcs=tool_loop_reward(RewardFunction(prompts, OfflineJudge(), RewardWeights())),
        args=rl.grpo_config(settings, folder, 0, "bfloat16"),
        train_dataset=Dataset.from_list([rows[i] for i in rl.prompt_order([p.kind for p in prompts], settings, 0)]),
        processing_class=tokenizer,
        tools=[tool_function(tool)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def tool_function(tool: ConsultTool) -> Callable[..., str]:
    """The consult tool as a function of the kind TRL takes: named, typed and described."""

    def consult(query: str, top_k: int = tool.default_top_k) -> str:
        return tool.call(TOOL_NAME, {"query": query, "top_k": top_k}).text

    consult.__name__ = TOOL_NAME
    consult.__doc__ = f"""{DESCRIPTION}

    Args:
        query: The topic to look up.
        top_k: How many rules to list.
    """
    return consult


def tool_loop_reward(reward: RewardFunction) -> Callable[..., list[float | None]]:
    """Our reward on what TRL's tool loop hands on: the last turn of the model is judged."""

    def judged(
        prompts: list[Any], completions: list[Any], prompt_id: list[str], log_metric: Any, log_extra: Any, **_: Any
    ) -> list[float | None]:
        walked = [_trajectory(prompt, completion) for prompt, completion in zip(prompts, completions, strict=True)]
        return reward(prompt_id, walked, log_metric, log_extra)

    judged.__name__ = reward.__name__
    return judged


def _trajectory(prompt: list[dict[str, Any]], completion: list[dict[str, Any]]) -> Trajectory:
    trajectory = start("", [message_of(message) for message in prompt])
    last = completion[-1]
    answered = last["role"] == "assistant" and not last.get("tool_calls")
    trajectory.messages.append(Message(role="assistant", content=last["content"] if answered else ""))
    trajectory.stop = StopReason.ANSWERED if answered else StopReason.TURN_LIMIT
    return trajectory


if __name__ == "__main__":
    main()
