"""Where the rollouts of an RL step spend their time, and how fast they are beside TRL's own.

    python benchmarks/rollout.py --model runs/quickstart/arms/bc-0 [--rounds 1]

Samples the generation batches of stock TRL (`GRPOTrainer` with its tool loop: transformers' `generate`, SDPA attention)
and of our in-process engine on the same prompts, model and settings, as `benchmarks/rl_step.py` sets both up, without
learning from them. Prints tokens per second of both, and the parts of ours. Every run is a process of its own, --rounds
alternates them, and the first of each run's --batches is left out. One thread, CPU seconds beside wall seconds.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from unittest.mock import patch

import rl_step  # first: it sets the number of threads
import torch
from rich.console import Console
from rich.table import Table
from trl import GRPOTrainer

from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.models import in_process
from ascl.models.in_process import InProcessClient
from ascl.models.models import load_renderer
from ascl.train import rl
from ascl.train.advantages import Grpo
from ascl.train.checkpoints import trainable_model
from ascl.train.rollouts import Rollouts
from ascl.train.settings import RlSettings

NAMES = ("stock TRL", "ours")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    rl_step.add_options(parser)
    parser.add_argument("--batches", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--run", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.run:
        print(json.dumps(measured(options.run, options)))
        return
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    for _ in range(options.rounds):
        for name in NAMES:
            runs[name].append(rl_step.in_process(__file__, "--run", name))
            print(json.dumps({name: runs[name][-1]}), flush=True)
    _print_tables(runs)


def _print_tables(runs: dict[str, list[dict[str, Any]]]) -> None:
    def mean(name: str, key: str) -> float:
        return sum(run[key] for run in runs[name]) / len(runs[name])

    table = Table("", *NAMES, "ratio", title="a batch of rollouts: one thread, first batch left out")
    per_second = {
        clock: [mean(name, "sampled") / mean(name, f"rollout {clock}") for name in NAMES] for clock in ("CPU", "wall")
    }
    for title, values in (
        ("seconds, CPU", [mean(name, "rollout CPU") for name in NAMES]),
        ("seconds, wall", [mean(name, "rollout wall") for name in NAMES]),
        ("sampled tokens", [mean(name, "sampled") for name in NAMES]),
        ("share that consulted", [mean(name, "consulted") for name in NAMES]),
        ("sampled tokens per CPU second", per_second["CPU"]),
        ("sampled tokens per wall second", per_second["wall"]),
    ):
        table.add_row(title, *(f"{value:.2f}" for value in values), f"{values[1] / values[0]:.2f}")
    Console(width=110).print(table)
    parts = Table("ours", "CPU s", "share")
    whole = mean("ours", "rollout CPU")
    for part in runs["ours"][0]["parts"]:
        seconds = sum(run["parts"].get(part, 0.0) for run in runs["ours"]) / len(runs["ours"])
        parts.add_row(part, f"{seconds:.2f}", f"{seconds / whole:.1%}")
    Console(width=110).print(parts)


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Means over a run's batches but the first; for ours with the seconds of each part."""
    settings = RlSettings(
        group_size=options.group,
        prompts_per_step=options.prompts,
        micro_batch_size=options.prompts * options.group,
        max_tokens=options.tokens,
        temperature=options.temperature,
        max_steps=options.batches,
    )
    clock, parts = rl_step.Clock(), Parts()
    with TemporaryDirectory() as folder:
        make = rl_step.stock_trainer if name == "stock TRL" else _our_trainer
        trainer: Any = make(options.model, settings, Path(folder))
        trainer.model = trainer.model_wrapped = trainer.accelerator.prepare_model(trainer.model)  # as `train` does
        trainer.model.train()
        trainer._generate = clock.rollouts(trainer._generate)
        for number, inputs in enumerate(trainer.get_train_dataloader()):
            trainer.state.global_step = number
            if number == 1 and name == "ours":
                parts.watch(trainer)
            trainer._generate_and_score_completions(inputs)
    counted = clock.steps[1:]
    found: dict[str, Any] = {key: sum(step[key] for step in counted) / len(counted) for key in counted[0]}
    if name == "ours":
        seconds = {part: total / len(counted) for part, total in sorted(parts.seconds.items())}
        found["parts"] = seconds | {"all else": found["rollout CPU"] - sum(seconds.values())}
    return found


def _our_trainer(model: str, settings: RlSettings, folder: Path) -> Any:
    """A trainer with our rollouts, as `run_rl` builds it."""
    from datasets import Dataset

    prompts, tool, renderer = rl_step.the_prompts(), rl_step.the_tool(), load_renderer(model)
    rows = rl.rl_dataset(prompts, tool)
    return GRPOTrainer(
        model=trainable_model(rl_step.the_training(model, folder)),
        reward_funcs=_no_reward,
        args=rl.grpo_config(settings, folder, 0, "bfloat16"),
        train_dataset=Dataset.from_list([rows[i] for i in rl.prompt_order([p.kind for p in prompts], settings, 0)]),
        processing_class=renderer.tokenizer,
        rollout_func=cast(Any, Rollouts(renderer, tool, settings, 0, Grpo())),
    )


def _no_reward(completions: list[Any], **_: Any) -> list[float | None]:
    return [0.0] * len(completions)


def _always(part: str, _: Any) -> str:
    return part


class Parts:
    """CPU seconds of the parts of our rollouts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.turn = 0

    def watch(self, trainer: Any) -> None:
        """Time the model's passes, the draws, the tool, rendering and parsing from here on."""
        complete = InProcessClient.complete

        def next_turn(client: InProcessClient, trajectories: list[Any], *arguments: Any) -> Any:
            self.turn = 1 if not trajectories[0].completion_ids else self.turn + 1
            return complete(client, trajectories, *arguments)

        def which_pass(named: dict[str, Any]) -> str:
            kind = "prefill" if named["input_ids"].shape[1] > 1 else "decode"
            return f"turn {self.turn}: {kind}"

        patch.object(InProcessClient, "complete", next_turn).start()
        trainer.model.forward = self._timed(which_pass, trainer.model.forward)
        for place, attribute, part in (
            (in_process, "_draw", "sampling from the scores"),
            (ConsultTool, "call", "tool"),
            (Renderer, "parse_ids", "parsing"),
            (InProcessClient, "_context", "rendering and tokenising"),
        ):
            patch.object(place, attribute, self._timed(partial(_always, part), getattr(place, attribute))).start()

    def _timed(self, part: Callable[[dict[str, Any]], str], work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            started = time.process_time()
            result = work(*arguments, **named)
            self.seconds[part(named)] += time.process_time() - started
            return result

        return run


if __name__ == "__main__":
    main()
