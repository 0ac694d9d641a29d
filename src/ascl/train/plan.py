"""What RL will need: the memory of a process by formula, before anything is started, and the time of a measured step.

Memory of states: ZeRO (arXiv 1910.02054, section 3.1); activations: Korthikanti et al. (arXiv 2205.05198, section 4),
here counted for gated MLPs as transformers runs them. Time is not calculated: a step is run (docs/scaling.md).
"""

import resource
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel

from ascl.chat.render import Renderer
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.load import question
from ascl.data.prompt import Prompt
from ascl.errors import InputError
from ascl.judges.judge import Judge
from ascl.saved import read_saved
from ascl.train.advantages import BaseAlgorithm
from ascl.train.costs import ModelShape, activation_bytes, cache_bytes, trained_parameters
from ascl.train.settings import Lora, RlSettings
from ascl.train.training import LOG, Training

GIB = 2**30
HEAD_TILE = (4096, 32768)  # tokens x vocabulary entries that TRL's fused head projects at once
SCORE_BYTES = 8  # held for one score of a tile beside the logit itself: two float32 buffers of the kernel
MEASURED_PROMPTS = 64  # their tokens are counted, spread over all
MEASURED_STEPS = 2  # the first one allocates, and does not count


class Memory(BaseModel):
    """GiB of one process. `total` is the peak: caches and gradients are never held at the same time."""

    engine: float
    weights: float
    optimizer: float
    gradients: float
    activations: float
    logits: float
    kv_cache: float

    @property
    def total(self) -> float:
        """What stays, and the larger of what training and what sampling adds to it."""
        stays = self.engine + self.weights + self.optimizer
        return stays + max(self.gradients + self.activations + self.logits, self.kv_cache)


@dataclass(frozen=True)
class Lengths:
    """Tokens of the longest prompt of some, and of the longest answer of the tool to them."""

    prompt: int
    tool: int


def lengths_of(prompts: Sequence[Prompt], renderer: Renderer, tool: ConsultTool) -> Lengths:
    """The lengths of prompts and of tool results, counted: the prompt itself is the query."""
    asked, answered = [0], [0]
    for prompt in prompts[:: max(1, len(prompts) // MEASURED_PROMPTS)]:
        trajectory = start(prompt.id, with_rules("ascl", question(prompt), tool.under(prompt.book)), book=prompt.book)
        asked.append(len(renderer.prompt_ids(trajectory.messages, [tool.schema])))
        advance(trajectory, Turn("", "", [ParsedCall(TOOL_NAME, {"query": prompt.text})]), tool)
        answered.append(len(renderer.suffix_ids(trajectory.messages, [tool.schema])))
    return Lengths(max(asked), max(answered))


def plan_memory(
    shape: ModelShape,
    settings: RlSettings,
    lengths: Lengths,
    lora: Lora | None,
    dtype: str = "bfloat16",
    processes: int = 1,
    sharded: bool = False,
    device_gib: float = 0,
) -> Memory:
    """GiB of one process at most: both turns of a rollout as long as `max_tokens` lets them be.

    Trained weights, their gradients and the two Adam moments are float32 (16 bytes each), frozen weights have `dtype`.
    sharded (FSDP2): divided among the processes, and one layer and the head gathered at a time. Full training in
    bfloat16 holds a bfloat16 copy of the weights during a pass and while it samples (autocast), counted with the
    gradients and with the cache. vllm colocate: its share of a device of `device_gib`. Not in it: what the libraries
    take, and what the allocator can't give back (on a CPU glibc takes 1.5 to 2.2 times the activations). Raises
    InputError where the processes can't share the step's rollouts evenly.
    """
    rollouts = settings.prompts_per_step * settings.group_size
    if rollouts % (settings.micro_batch_size * processes):
        raise InputError(f"micro_batch_size {settings.micro_batch_size} x {processes} processes must divide {rollouts}")
    width = 2 if dtype == "bfloat16" else 4
    parts = processes if sharded else 1
    trained = trained_parameters(shape, lora)
    weights = (width * shape.parameters + 4 * trained) if lora else 4 * trained
    completion = 2 * settings.max_tokens + lengths.tool
    length = lengths.prompt + completion
    labelled = settings.micro_batch_size * completion
    gathered = (shape.block_parameters / shape.layers + shape.vocabulary * shape.hidden) * width if sharded else 0
    copies = 2 * shape.parameters if lora is None and dtype == "bfloat16" and not sharded else 0
    head_gradient = 4 * shape.vocabulary * shape.hidden if lora is None else 0
    tile = min(labelled, HEAD_TILE[0]) * min(shape.vocabulary, HEAD_TILE[1]) * (width + SCORE_BYTES)
    tokens = settings.micro_batch_size * length
    activations = activation_bytes(shape, tokens, length, lora, dtype, settings.gradient_checkpointing)
    cache = rollouts / processes * length * cache_bytes(shape, width) + copies if settings.vllm == "off" else 0
    return Memory(
        engine=device_gib * settings.vllm_gpu_memory if settings.vllm == "colocate" else 0,
        weights=weights / parts / GIB,
        optimizer=8 * trained / parts / GIB,
        gradients=(4 * trained / parts + gathered + copies) / GIB,
        activations=activations / GIB,
        logits=(tile + head_gradient) / GIB,
        kv_cache=cache / GIB,
    )


@dataclass(frozen=True)
class MeasuredStep:
    """A step as it was run here: wall seconds, sampled tokens a rollout, and the peak memory of the process in GiB."""

    seconds: float
    tokens: float
    peak_gib: float


def measure_step(
    training: Training,
    prompts: list[Prompt],
    tool: ConsultTool,
    judge: Judge,
    algorithm: BaseAlgorithm,
    settings: RlSettings,
) -> MeasuredStep:
    """Run a step of an RL arm and time it; what it trains is thrown away.

    A model that has not learnt to end its turns yet samples more than a cloned one: then the step is an upper bound.
    """
    from ascl.train.rl import run_rl

    with TemporaryDirectory() as folder:
        out = Path(folder) / "measured"
        few = settings.model_copy(update={"max_steps": MEASURED_STEPS, "save_steps": 10**6})
        run_rl(replace(training, out=out), prompts, tool, judge, algorithm, few)
        log = [row for row in read_saved(out / LOG, list[dict[str, Any]]) if "step_time" in row]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    import torch

    if torch.cuda.is_available():
        peak = float(torch.cuda.max_memory_allocated())
    return MeasuredStep(
        seconds=fmean(row["step_time"] for row in log[1:] or log),
        tokens=fmean(row.get("completions/mean_length", 0.0) for row in log),
        peak_gib=peak / GIB,
    )
