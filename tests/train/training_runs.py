"""Whole runs of `run_sft` and `run_rl` on the tiny model; as a script, one that dies where it is told to.

    training_runs.py {sft,preference,distill,rl,both} MODEL OUT [step:N | save:N]

kills itself (SIGKILL) behind optimiser step N, or while checkpoint N is written but not yet marked as complete.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from scripted_rollouts import ANSWERS, GROUP, PROMPTS, SampledClient, ScriptedClient

from ascl.chat.messages import Message
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.prompt import Prompt
from ascl.data.row import Pair, Row, native_row
from ascl.files import read_finished
from ascl.judges.lexical.offline import OfflineJudge
from ascl.models.models import load_model, load_renderer
from ascl.rules.book import RuleBook
from ascl.train.advantages import BaseAlgorithm, Decoupled, Ifpo
from ascl.train.settings import DistillSettings, Lora, PreferenceSettings, RlSettings, SftSettings
from ascl.train.training import ROLLOUTS, Training

SFT = SftSettings(learning_rate=1e-2, epochs=2, batch_size=4, micro_batch_size=2, save_steps=2)  # 6 steps
PREFERENCE = PreferenceSettings(learning_rate=1e-2, epochs=2, batch_size=4, micro_batch_size=2, save_steps=1)  # 3 steps
DISTILL = DistillSettings(
    learning_rate=1e-2, prompts_per_step=2, micro_batch_size=1, max_steps=3, max_tokens=6, save_steps=1
)
IFPO, LORA = Ifpo(), Lora(r=4, alpha=8)
RL = RlSettings(  # 6 steps, three for each pass over the prompts
    group_size=GROUP, prompts_per_step=2, micro_batch_size=4, learning_rate=1e-2, max_tokens=4, save_steps=2
)


def tool() -> ConsultTool:
    return ConsultTool(RuleBook.load("default"), default_top_k=1)


def rows(tool: ConsultTool) -> list[Row]:
    """Two demonstrations of each prompt: one that consults, one that does not."""
    found = []
    for prompt in PROMPTS:
        consulting = [Turn("", "Check.", [ParsedCall(TOOL_NAME, {"query": "weapons"})]), Turn(ANSWERS[0], "Judge.")]
        for number, turns in enumerate((consulting, [Turn(ANSWERS[1], "Harmless.")])):
            trajectory = start(f"{prompt.id}-{number}", with_rules("ascl", prompt.messages, tool))
            for turn in turns:
                advance(trajectory, turn, tool)
            found.append(native_row(trajectory, prompt.kind, [tool.schema], "test", "test"))
    return found


def training(model: Path, out: Path, lora: Lora | None = None, dtype: str = "float32", seed: int = 5) -> Training:
    return Training(model=str(model), renderer=load_renderer(str(model)), out=out, lora=lora, seed=seed, dtype=dtype)


def sft(
    model: Path,
    out: Path,
    lora: Lora | None = None,
    dtype: str = "float32",
    seed: int = 5,
    rows: list[Row] | None = None,
    **changes: Any,
) -> None:
    from ascl.train.sft import run_sft

    given = globals()["rows"](tool()) if rows is None else rows
    run_sft(training(model, out, lora, dtype, seed), given, SFT.model_copy(update=changes))


def pairs(shared_prefix: str = "It asks for something.") -> list[Pair]:
    """A pair of each prompt: one refuses, the other answers; their thoughts begin alike."""

    def reply(thought: str, answer: str) -> list[Message]:
        thought = f"{shared_prefix} {thought}".strip()
        return [Message(role="assistant", content=answer, reasoning_content=thought)]

    return [
        Pair(
            id=prompt.id,
            kind=prompt.kind,
            prompt=prompt.messages,
            chosen=reply("Wait. This could do harm.", ANSWERS[0]),
            rejected=reply("So I help.", ANSWERS[1]),
            shared_prefix=shared_prefix,
            recipe="test",
        )
        for prompt in PROMPTS
    ]


def preference(
    model: Path, out: Path, lora: Lora | None = None, pairs: list[Pair] | None = None, **changes: Any
) -> None:
    from ascl.train.preference import run_preference

    given = globals()["pairs"]() if pairs is None else pairs
    run_preference(training(model, out, lora), given, PREFERENCE.model_copy(update=changes))


def distill(model: Path, out: Path, lora: Lora | None = None, prompts: list[Prompt] = PROMPTS, **changes: Any) -> None:
    from ascl.train.distill import run_distill

    teacher = changes.pop("teacher", "rag")
    run_distill(training(model, out, lora), prompts, tool(), DISTILL.model_copy(update=changes), teacher)


def rollouts(out: Path) -> list[dict[str, Any]]:
    """What RL logged: in the model's folder, or, of an unfinished training, in its work folder."""
    return read_finished((out if out.exists() else out.with_name(f"{out.name}.trainer")) / ROLLOUTS)


def rl(
    model: Path,
    out: Path,
    lora: Lora | None = None,
    dtype: str = "float32",
    client: type[Any] = SampledClient,
    prompts: list[Prompt] = PROMPTS,
    algorithm: BaseAlgorithm = IFPO,
    **changes: Any,
) -> None:
    from ascl.train.rl import run_rl

    settings = RL.model_copy(update=changes)
    with patch("ascl.train.rollouts.InProcessClient", client):
        run_rl(training(model, out, lora, dtype), prompts, tool(), OfflineJudge(), algorithm, settings)


def rl_groups(model: Path, out: Path, algorithm: BaseAlgorithm = IFPO) -> None:
    """Three groups a step, so that two processes share the middle one; scripted by prompt and place alone.

    Nothing is explored: the script knows no candidates beside a place's own rollout.
    """
    rl(model, out, client=ScriptedClient, algorithm=algorithm, prompts_per_step=3, micro_batch_size=2, max_steps=2)


def both(model: Path, out: Path) -> None:
    """SFT to OUT-sft, RL to OUT-rl and OUT-decoupled, in a form that any number of processes walks alike."""
    sft(model, out.with_name(f"{out.name}-sft"))
    rl_groups(model, out.with_name(f"{out.name}-rl"))
    rl_groups(model, out.with_name(f"{out.name}-decoupled"), Decoupled(exploration="none"))


def weights(folder: Path) -> dict[str, Any]:
    return load_model(str(folder), "float32").state_dict()


def same(first: Path, second: Path) -> bool:
    """Whether two models have the same weights, to the bit."""
    one, other = weights(first), weights(second)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def moved(before: Path, after: Path) -> float:
    """How far training has moved the weight that it moved most."""
    first, second = weights(before), weights(after)
    assert first.keys() == second.keys()
    return max((second[name] - first[name]).abs().max().item() for name in first)


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The training log, step by step."""
    return [row for row in json.loads((folder / "training_log.json").read_text()) if "loss" in row]


def in_two_processes(*arguments: object) -> None:
    """This file as a script, in two processes that find each other by gloo."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [sys.executable, *launcher, __file__, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert run.returncode == 0, run.stderr


def main(name: str, model: str, out: str, *death: str) -> None:
    """What this file does as a script."""
    if death:
        die_at(death[0])
    {"sft": sft, "preference": preference, "distill": distill, "rl": rl, "both": both}[name](Path(model), Path(out))


def die_at(where: str) -> None:
    from ascl.train.checkpoints import MarkComplete

    event, number = where.split(":")

    def kill(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        if event == "save":
            marked(self, args, state, control, **kwargs)

    marked = MarkComplete.on_save
    setattr(MarkComplete, "on_save" if event == "save" else "on_step_end", kill)


if __name__ == "__main__":
    main(*sys.argv[1:])
