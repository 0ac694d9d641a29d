"""What one RL step will need: memory of a process and seconds of a step, by formula, before anything is started.

A plan is arithmetic over four things: the model's shape, the training settings, how long the rollouts are
(`Lengths`), and what the machine does in a second (`Machine`, given or measured by `machine.probe`). Sources: training
operations 6 N D, Kaplan et al. (arXiv 2001.08361, section 2.1), with the attention term of PaLM (arXiv 2204.02311,
appendix B); memory of states, ZeRO (arXiv 1910.02054, section 3.1); activations, Korthikanti et al. (arXiv 2205.05198,
section 4), here counted for gated MLPs as transformers runs them; decoding as the larger of memory traffic and
arithmetic, Pope et al. (arXiv 2211.05102, section 2). docs/scaling.md has the measurements against it.
"""

import math

from pydantic import BaseModel, ConfigDict, Field

from ascl.errors import InputError
from ascl.train.costs import (
    ModelShape,
    activation_bytes,
    cache_bytes,
    forward_operations,
    head_operations,
    trained_parameters,
    training_operations,
)
from ascl.train.settings import Lora, RlSettings

GIB = 2**30
HEAD_TILE = (4096, 32768)  # tokens x vocabulary entries that TRL's fused head projects at once


class Lengths(BaseModel):
    """How long rollouts are, in tokens, and what judging one costs.

    completion_tokens: the mean of a model turn. consult_share: rollouts with a second turn, behind a tool result of
    tool_tokens. longest_prompt: of a step's prompts, to which all are padded (None: as the mean). judge_seconds: one
    verdict, of which judge_concurrency are asked for at a time.
    """

    model_config = ConfigDict(extra="forbid")

    prompt_tokens: float = Field(gt=0)
    longest_prompt: float | None = None
    completion_tokens: float = Field(gt=0)
    consult_share: float = Field(default=0.5, ge=0, le=1)
    tool_tokens: float = Field(default=150, ge=0)
    judge_seconds: float = Field(default=0, ge=0)
    judge_concurrency: int = Field(default=1, ge=1)

    @property
    def padded_prompt(self) -> float:
        """What a prompt takes in a padded batch."""
        return self.longest_prompt or self.prompt_tokens


class Machine(BaseModel):
    """What one process's device does: operations and bytes in a second, at the shapes of the model.

    training, forward, decode: multiply-adds count as two operations, of a forward and backward pass, of a forward pass
    over whole prompts, of a forward pass of one token per row. head: of TRL's fused head. bandwidth: bytes/s read from
    memory. layer_seconds: fixed cost of one layer in one decoding step (none with vLLM). draws: vocabulary
    entries turned into a sampled token. link: bytes/s between processes. memory, runtime_memory: bytes there are and
    bytes taken before the model comes; held: what the allocator takes for a byte of activations; score_bytes: what the
    fused head holds for one score of a tile beside the logit itself (two float32 buffers of a kernel).
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    training: float = Field(gt=0)
    forward: float = Field(gt=0)
    decode: float = Field(gt=0)
    head: float = Field(gt=0)
    bandwidth: float = Field(gt=0)
    layer_seconds: float = Field(default=0, ge=0)
    draws: float = Field(default=math.inf, gt=0)
    link: float = Field(default=math.inf, gt=0)
    memory: float = Field(default=0, ge=0)
    runtime_memory: float = Field(default=0, ge=0)
    held: float = Field(default=1, ge=1)
    score_bytes: float = Field(default=8, ge=0)


class Memory(BaseModel):
    """GiB of one process. `total` is the peak: caches and gradients are never held at the same time."""

    runtime: float
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
        stays = self.runtime + self.engine + self.weights + self.optimizer
        return stays + max(self.gradients + self.activations + self.logits, self.kv_cache)


class Times(BaseModel):
    """Seconds of one step."""

    prefill: float
    decode: float
    judge: float
    old_log_probabilities: float
    training: float
    head: float
    optimizer: float
    communication: float

    @property
    def rollout(self) -> float:
        """Sampling as a whole."""
        return self.prefill + self.decode

    @property
    def learning(self) -> float:
        """Everything behind the verdicts."""
        return self.old_log_probabilities + self.training + self.head + self.optimizer + self.communication

    @property
    def total(self) -> float:
        """The step."""
        return self.rollout + self.judge + self.learning


class Plan(BaseModel):
    """The needs of a run: memory of each process, seconds of a step, and what they add up to."""

    model: str
    machine: str
    processes: int
    memory: Memory
    memory_limit: float  # GiB of a process; 0: unknown
    times: Times
    steps: int
    rollouts: int  # of a step
    sampled_tokens: float  # of a step
    trained_tokens: float  # of a step, padding included

    @property
    def hours(self) -> float:
        """Of the run, without start and evaluation."""
        return self.steps * self.times.total / 3600


def turn_decay(mean: float, limit: int) -> float:
    """theta such that lengths of density exp(-t / theta), cut at `limit`, have this mean; inf where all are cut.

    mean = theta (1 - exp(-limit / theta)); solved by bisection.
    """
    if mean >= 0.995 * limit:
        return math.inf
    low, high = mean, 1000.0 * limit
    for _ in range(80):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if middle * -math.expm1(-limit / middle) < mean else (low, middle)
    return low


def alive(step: int, mean: float, limit: int) -> float:
    """The share of turns longer than `step` tokens: exp(-step / theta), none behind `limit`."""
    return math.exp(-step / turn_decay(mean, limit)) if step < limit else 0.0


def longest_turn(rows: float, mean: float, limit: int) -> float:
    """The expected longest of `rows` turns: the sum over steps of 1 - (1 - alive)^rows."""
    decay = turn_decay(mean, limit)
    return sum(1 - (1 - math.exp(-step / decay)) ** rows for step in range(limit))


def decoding_seconds(
    shape: ModelShape, machine: Machine, rows: float, context: float, mean: float, limit: int, bytes_per_step: float
) -> float:
    """Seconds to sample one turn for `rows` rows behind `context` tokens, all in one batch.

        sum over steps t of  P(t) * [L c + max(W + K (context + t) r(t), ops) + r(t) V / draws]

    P(t): some turn is still going; r(t): rows in the batch, given that. The client drops ended rows once a quarter
    have ended, so r falls in steps of 3/4. W (bytes_per_step): the weights' traffic; K: cache traffic per token and
    row; ops = 2 (N_blocks + V h) r / decode.
    """
    decay, seconds = turn_decay(mean, limit), 0.0
    row_operations = 2 * (shape.block_parameters + shape.vocabulary * shape.hidden)
    for step in range(limit):
        share = math.exp(-step / decay)
        going = 1 - (1 - share) ** rows
        if going < 1e-3:
            break
        held = max(1.0, rows * max(share, 0.75 ** math.floor(math.log(share) / math.log(0.75) + 1e-9)))
        traffic = bytes_per_step + cache_bytes(shape) * (context + step) * held
        seconds += going * (
            shape.layers * machine.layer_seconds
            + max(traffic / machine.bandwidth, row_operations * held / machine.decode)
            + held * shape.vocabulary / machine.draws
        )
    return seconds


def steps_of(settings: RlSettings, prompts: int) -> int:
    """Optimiser steps of a run; as `rl.prompt_order` has it."""
    return settings.max_steps or max(1, int(prompts * settings.epochs) // settings.prompts_per_step)


def plan_memory(
    shape: ModelShape,
    settings: RlSettings,
    lengths: Lengths,
    machine: Machine,
    lora: Lora | None,
    dtype: str,
    processes: int,
    sharded: bool,
) -> Memory:
    """GiB of one process. Trained weights, their gradients and the two Adam moments are float32 (16 bytes each).

    Frozen weights have `dtype`. sharded (FSDP2): divided among the processes, and one layer and the head gathered at a
    time. Full training in bfloat16 holds a bfloat16 copy of the weights during a pass and while it samples (autocast),
    counted with the gradients and with the cache. vllm colocate: its share of the device, where its memory is known.
    """
    width = 2 if dtype == "bfloat16" else 4
    parts = processes if sharded else 1
    trained = trained_parameters(shape, lora)
    weights = (width * shape.parameters + 4 * trained) if lora else 4 * trained
    rows = settings.prompts_per_step * settings.group_size / processes
    completion = longest_completion(settings, lengths, rows)
    length = lengths.padded_prompt + completion
    tokens = settings.micro_batch_size * length
    labelled = settings.micro_batch_size * completion
    gathered = (shape.block_parameters / shape.layers + shape.vocabulary * shape.hidden) * width if sharded else 0
    copies = 2 * shape.parameters if lora is None and dtype == "bfloat16" and not sharded else 0
    head_gradient = 4 * shape.vocabulary * shape.hidden if lora is None else 0
    tile = min(labelled, HEAD_TILE[0]) * min(shape.vocabulary, HEAD_TILE[1]) * (width + machine.score_bytes)
    activations = activation_bytes(shape, tokens, length, lora, dtype, settings.gradient_checkpointing)
    cache = rows * length * cache_bytes(shape, width) + copies if settings.vllm == "off" else 0
    return Memory(
        runtime=machine.runtime_memory / GIB,
        engine=machine.memory * settings.vllm_gpu_memory / GIB if settings.vllm == "colocate" else 0,
        weights=weights / parts / GIB,
        optimizer=8 * trained / parts / GIB,
        gradients=(4 * trained / parts + gathered + copies) / GIB,
        activations=activations * machine.held / GIB,
        logits=(tile + head_gradient) / GIB,
        kv_cache=cache / GIB,
    )


def longest_completion(settings: RlSettings, lengths: Lengths, rows: float) -> float:
    """The expected longest completion of `rows` rollouts, to which TRL pads all: a turn, or turn, tool result, turn."""
    direct = longest_turn(rows, lengths.completion_tokens, settings.max_tokens)
    consulting = rows * lengths.consult_share
    if consulting < 1:
        return direct + consulting * (lengths.tool_tokens + lengths.completion_tokens)
    second = longest_turn(consulting, lengths.completion_tokens, settings.max_tokens)
    if math.isinf(turn_decay(lengths.completion_tokens, settings.max_tokens)):
        return direct + lengths.tool_tokens + second
    return max(direct, lengths.completion_tokens + lengths.tool_tokens + second)


def plan_times(
    shape: ModelShape,
    settings: RlSettings,
    lengths: Lengths,
    machine: Machine,
    lora: Lora | None,
    dtype: str,
    processes: int,
    sharded: bool,
) -> Times:
    """Seconds of one step; every process does its share of the rollouts and of the micro-batches at the same time.

    Rollouts: the first turn of all rows and, anew from the prompt, the second of those that consulted; that float32
    weights are cast to bfloat16 once is not counted. Learning: every micro-batch padded to the step's longest prompt
    and completion; old log-probabilities (a forward pass) are needed with vLLM; what
    exploration adds (`candidates` first turns, and that pass for `half`) is not counted. Optimiser: 40
    bytes per trained weight a step, 18 a micro-batch (gradients added up, weights cast).
    """
    rows = settings.prompts_per_step * settings.group_size / processes
    prompt, turn = lengths.padded_prompt, lengths.completion_tokens
    if settings.vllm != "off":
        machine = machine.model_copy(update={"layer_seconds": 0.0})  # it captures graphs
    consulting = rows * lengths.consult_share
    second_prompt = prompt + lengths.tool_tokens + longest_turn(max(1, consulting), turn, settings.max_tokens)
    weight_bytes = 2 if dtype == "bfloat16" else 4
    traffic = weight_bytes * (shape.block_parameters + shape.vocabulary * shape.hidden)
    prefill = decode = 0.0
    groups = rows / settings.group_size  # a group's common prompt is read once
    for asked, read, context in ((rows, groups, prompt), (consulting, consulting, second_prompt)):
        if asked:
            prefill += forward_operations(shape, read * context, context) / machine.forward
            decode += decoding_seconds(shape, machine, asked, context, turn, settings.max_tokens, traffic)
    completion = longest_completion(settings, lengths, rows)
    length = prompt + completion
    labelled = rows * (turn + lengths.consult_share * (turn + lengths.tool_tokens))
    micro_batches = rows / settings.micro_batch_size
    trained = trained_parameters(shape, lora)
    old = settings.vllm != "off"
    learning = training_operations(shape, rows * length, length, lora, settings.gradient_checkpointing)
    return Times(
        prefill=prefill,
        decode=decode,
        judge=rows * processes * lengths.judge_seconds / lengths.judge_concurrency,
        old_log_probabilities=forward_operations(shape, rows * length, length) / machine.forward if old else 0,
        training=learning / machine.training,
        head=head_operations(shape, labelled, lora) / machine.head,
        optimizer=trained * (40 / (processes if sharded else 1) + 18 * micro_batches) / machine.bandwidth,
        communication=communication_bytes(shape, lora, micro_batches, processes, sharded) / machine.link,
    )


def communication_bytes(
    shape: ModelShape, lora: Lora | None, micro_batches: float, processes: int, sharded: bool
) -> float:
    """Bytes one process sends in a step.

    FSDP2, every micro-batch: bfloat16 weights gathered for the forward and the backward pass and gradients scattered,
    3 x 2 N (p - 1) / p. Else the float32 gradients reduced once a step, 2 x 4 N (p - 1) / p (ring).
    """
    others = (processes - 1) / processes
    if sharded:
        return 6 * shape.parameters * others * micro_batches
    return 8 * trained_parameters(shape, lora) * others


def plan_step(
    shape: ModelShape,
    settings: RlSettings,
    lengths: Lengths,
    machine: Machine,
    lora: Lora | None = None,
    dtype: str = "bfloat16",
    processes: int = 1,
    sharded: bool = False,
    steps: int = 1,
) -> Plan:
    """The plan of a run of `steps` steps.

    Raises InputError where the processes can't share the step's rollouts evenly.
    """
    rollouts = settings.prompts_per_step * settings.group_size
    if rollouts % (settings.micro_batch_size * processes):
        raise InputError(f"micro_batch_size {settings.micro_batch_size} x {processes} processes must divide {rollouts}")
    given = (shape, settings, lengths, machine, lora, dtype, processes, sharded)
    return Plan(
        model=shape.name,
        machine=machine.name,
        processes=processes,
        memory=plan_memory(*given),
        memory_limit=machine.memory / GIB,
        times=plan_times(*given),
        steps=steps,
        rollouts=rollouts,
        sampled_tokens=rollouts * lengths.completion_tokens * (1 + lengths.consult_share),
        trained_tokens=rollouts * (lengths.padded_prompt + longest_completion(settings, lengths, rollouts / processes)),
    )
