"""How far the plan of an RL step (`train/plan.py`) is from what the step really takes on this machine.

    python benchmarks/plan.py [--cases "half;checkpointing"] [--steps 3]

For each case: a probe of the machine at the model's shapes (four layers, random weights, never the training itself),
then a real `run_rl` of a few steps, each in its own process. The lengths of the rollouts are taken from the run (they
are inputs of a plan); seconds and memory are predicted and compared. The first step, which allocates, is left out of
the seconds. Sampling is real; what a rollout that shall consult has sampled is then overwritten at its end by a call.

One thread and process CPU seconds instead of wall seconds, so that others may use the machine meanwhile.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from rich.console import Console
from rich.table import Table
from transformers import TrainerCallback

from ascl.chat.clients.in_process import InProcessClient
from ascl.chat.clients.model_folder import load_config, model_path
from ascl.chat.clients.models import load_renderer
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.judges.offline import OfflineJudge
from ascl.judges.record import judge_trajectories
from ascl.prompts.prompt import Kind
from ascl.prompts.sources import load_prompts
from ascl.rules.book import RuleBook
from ascl.train import reward_function, rl, rollouts
from ascl.train.costs import model_shape
from ascl.train.machine import probe
from ascl.train.plan import GIB, Lengths, Machine, plan_step
from ascl.train.reward import RewardWeights
from ascl.train.settings import Lora, RlSettings

CALL = f'<tool_call>{{"name": "{TOOL_NAME}", "arguments": {{"query": "weapons"}}}}</tool_call>'
MEDIUM: Any = {
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 64,
}


def _settings(prompts: int, tokens: int, **changes: Any) -> RlSettings:
    return RlSettings(
        group_size=4, prompts_per_step=prompts, micro_batch_size=4, max_tokens=tokens, save_steps=999, **changes
    )


# name: model, LoRA, share of rollouts that consult, settings
CASES: dict[str, tuple[str, Lora | None, float, RlSettings]] = {
    "embedded, LoRA, half consult": ("embedded", Lora(), 0.5, _settings(2, 64)),
    "embedded, LoRA, none consults": ("embedded", Lora(), 0.0, _settings(2, 96)),
    "medium, full, all consult": ("medium", None, 1.0, _settings(2, 64)),
    "medium, full, checkpointing": ("medium", None, 0.25, _settings(4, 48, gradient_checkpointing=True)),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="", help="names of cases, or words in them, by semicolon (default: all)")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--json", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.json:
        part, name, *rest = json.loads(options.json)
        found = measured(name, int(rest[0])) if part == "run" else probed(name, Lengths(**rest[0]))
        print(json.dumps(found))
        return
    table = Table("case", "part", "predicted", "measured", "ratio", title="one thread, CPU seconds of a step; GiB")
    for name in CASES:
        if any(word in name for word in options.cases.split(";")):
            _case(name, options.steps, table)
    Console(width=110).print(table)


def _case(name: str, steps: int, table: Table) -> None:
    run = _in_process("run", name, steps)
    machine = Machine(**_in_process("probe", name, run["lengths"]))
    _, lora, _, settings = CASES[name]
    with TemporaryDirectory() as folder:
        shape = model_shape(name, load_config(_model(name, Path(folder))))
    plan = plan_step(shape, settings, Lengths(**run["lengths"]), machine, lora)
    print(json.dumps({"case": name, "run": run, "machine": machine.model_dump(), "plan": plan.model_dump()}))
    for part, predicted, seen in (
        ("rollouts", plan.times.rollout, run["rollout"]),
        ("judge", plan.times.judge, run["judge"]),
        ("learning", plan.times.learning, run["learning"]),
        ("step", plan.times.total, run["rollout"] + run["judge"] + run["learning"]),
        ("peak memory", plan.memory.total, run["peak"]),
    ):
        table.add_row(name, part, f"{predicted:.2f}", f"{seen:.2f}", f"{predicted / seen:.2f}" if seen > 0.05 else "-")
        name = ""
    table.add_section()


def _in_process(*arguments: Any) -> dict[str, Any]:
    command = [sys.executable, __file__, "--json", json.dumps(arguments)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(found.stderr)
    result: dict[str, Any] = json.loads(found.stdout.strip().splitlines()[-1])
    return result


def _model(case: str, folder: Path) -> str:
    """The case's model: a name, or a folder made now with random weights and the embedded model's tokenizer."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    if CASES[case][0] == "embedded":
        return model_path("embedded")
    tokenizer = load_renderer("embedded").tokenizer
    torch.manual_seed(0)
    ends: Any = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    config = Qwen3Config(vocab_size=len(tokenizer), tie_word_embeddings=True, **MEDIUM, **ends)
    model: Any = Qwen3ForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return str(folder / "model")


def probed(case: str, lengths: Lengths) -> dict[str, Any]:
    """The machine's figures at the shapes of a case."""
    with TemporaryDirectory() as folder:
        _, lora, _, settings = CASES[case]
        found = probe(_model(case, Path(folder)), settings, lengths, lora, clock=time.process_time)
    return found.model_dump()


class Consulting(InProcessClient):
    """Samples as ever; the first turns that shall consult end in a call in the place of what was sampled there."""

    share = 0.0

    def _generate(self, contexts: list[list[int]], sampling: Any) -> list[list[int]]:
        sampled = super()._generate(contexts, sampling)
        if getattr(self, "spoken", False):
            return sampled
        self.spoken = True
        call = self.renderer.ids(CALL + self.renderer.dialect.ends[0])
        count = round(self.share * len(sampled))
        return [ids[: max(0, len(ids) - len(call))] + call if i < count else ids for i, ids in enumerate(sampled)]


class Clock(TrainerCallback):
    """CPU seconds of the steps, and of the parts that `timed` wraps."""

    def __init__(self) -> None:
        self.parts: dict[str, list[float]] = {"rollout": [], "judge": [], "step": []}

    def timed(self, part: str, work: Any) -> Any:
        """`work`, with its seconds kept."""

        def run(*arguments: Any, **named: Any) -> Any:
            started = time.process_time()
            result = work(*arguments, **named)
            self.parts[part].append(time.process_time() - started)
            return result

        return run

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start of an optimiser step, before its rollouts."""
        self.started = time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End of an optimiser step."""
        self.parts["step"].append(time.process_time() - self.started)


def measured(case: str, steps: int) -> dict[str, Any]:
    """Seconds of a step's parts, the peak memory, and the lengths of the rollouts of a real run."""
    _, lora, share, settings = CASES[case]
    settings = settings.model_copy(update={"max_steps": steps})
    clock, walked = Clock(), []
    Consulting.share = share
    tool = ConsultTool(RuleBook.load("default"), default_top_k=1)
    prompts = [p for p in load_prompts(["starter"]) if p.kind in (Kind.HARMFUL, Kind.SENSITIVE)]
    sample, callbacks = rollouts.Rollouts.__call__, rl.callbacks

    def noted(*arguments: Any) -> Any:
        walked.append(sample(*arguments))
        return walked[-1]

    with TemporaryDirectory() as folder:
        model = _model(case, Path(folder))
        with (
            patch.object(rollouts, "InProcessClient", Consulting),
            patch.object(rollouts.Rollouts, "__call__", clock.timed("rollout", noted)),
            patch.object(reward_function, "judge_trajectories", clock.timed("judge", judge_trajectories)),
            patch.object(rl, "callbacks", lambda title: [*callbacks(title), clock]),
        ):
            rl.run_rl(
                model=model,
                prompts=prompts,
                renderer=load_renderer(model),
                tool=tool,
                judge=OfflineJudge(),
                out=Path(folder) / "out",
                algorithm="ifpo",
                settings=settings,
                rewards=RewardWeights(),
                lora=lora,
                seed=0,
                rollout_log=Path(folder) / "log.jsonl",
            )
    means = {part: sum(values[1:]) / len(values[1:]) for part, values in clock.parts.items()}
    return {
        "rollout": means["rollout"],
        "judge": means["judge"],
        "learning": means["step"] - means["rollout"] - means["judge"],
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB,
        "lengths": _lengths(walked[1:]).model_dump(),
    }


def _lengths(batches: list[dict[str, Any]]) -> Lengths:
    trajectories = [t for batch in batches for t in batch["trajectory"]]
    turns = sum(1 for t in trajectories for m in t.completion if m.role == "assistant")
    consulted = [t for t in trajectories if t.consulted]
    given = sum(t.completion_mask.count(0) for t in consulted)
    return Lengths(
        prompt_tokens=sum(len(t.prompt_ids) for t in trajectories) / len(trajectories),
        longest_prompt=sum(max(map(len, batch["prompt_ids"])) for batch in batches) / len(batches),
        completion_tokens=sum(sum(t.completion_mask) for t in trajectories) / turns,
        consult_share=len(consulted) / len(trajectories),
        tool_tokens=given / len(consulted) if consulted else 0,
    )


if __name__ == "__main__":
    main()
