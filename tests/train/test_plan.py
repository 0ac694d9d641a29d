"""The plan of an RL step: against counts of real tiny models, limits known by hand, and what must grow with what."""

import math
import random
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, MixtralConfig, Qwen3Config
from trl.trainer.utils import add_fused_lm_head

from ascl.chat.clients import grouped_attention
from ascl.cli.plan import plan_of, print_plan
from ascl.config import RunConfig
from ascl.errors import InputError
from ascl.prompts.prompt import Kind
from ascl.train.checkpoints import trainable_model
from ascl.train.costs import (
    ModelShape,
    activation_bytes,
    cache_bytes,
    model_shape,
    trained_parameters,
    training_operations,
)
from ascl.train.cpu import score_labelled_tokens_only
from ascl.train.machine import CPU_SCORE_BYTES, MACHINES, probe
from ascl.train.plan import (
    GIB,
    Lengths,
    Machine,
    Plan,
    alive,
    decoding_seconds,
    longest_turn,
    plan_step,
    steps_of,
    turn_decay,
)
from ascl.train.rl import prompt_order
from ascl.train.settings import Lora, RlSettings

SIZES = {
    "vocab_size": 500,
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
}
SHAPE = ModelShape(
    name="x",
    layers=10,
    hidden=100,
    intermediate=300,
    heads=5,
    kv_heads=1,
    head_size=20,
    vocabulary=1000,
    parameters=1_500_000,
    block_parameters=1_400_000,
    linear_width=20_000,
)
LENGTHS = Lengths(prompt_tokens=100, completion_tokens=32, consult_share=0, tool_tokens=50)
SETTINGS = RlSettings(group_size=4, prompts_per_step=4, micro_batch_size=4, max_tokens=32)
MACHINE = Machine(name="m", training=1e12, forward=2e12, decode=1e12, head=1e12, bandwidth=1e10)


def planned(**changes: Any) -> Plan:
    given: dict[str, Any] = {"shape": SHAPE, "settings": SETTINGS, "lengths": LENGTHS, "machine": MACHINE}
    return plan_step(**given | changes)


@pytest.mark.parametrize("kind", [LlamaConfig, Qwen3Config])
def test_the_shape_counts_what_a_real_model_has(kind: Any) -> None:
    config = kind(**SIZES, tie_word_embeddings=True)
    shape = model_shape("m", config)
    model = AutoModelForCausalLM.from_config(config)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    assert shape.block_parameters == sum(p.numel() for name, p in model.named_parameters() if "proj.weight" in name)
    assert (shape.query_width, shape.kv_width) == (256, 128)
    assert shape.query_key_norm == (kind is Qwen3Config)


def test_adapters_are_counted_as_peft_makes_them(tiny_model: Path) -> None:
    lora = Lora(r=4)
    model = trainable_model(str(tiny_model), "float32", lora, 0)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    shape = model_shape("tiny", AutoConfig.from_pretrained(tiny_model))
    assert trained_parameters(shape, lora) == trained
    assert trained_parameters(shape, None) == shape.parameters


def test_a_mixture_of_experts_is_refused() -> None:
    with pytest.raises(InputError, match="mixture of experts"):
        model_shape("moe", MixtralConfig(num_local_experts=4))


def kept_for_backward(config: Any, lora: Lora | None, dtype: str, checkpointing: bool, rows: int, length: int) -> int:
    """Bytes that autograd saves in the layers: two depths, one taken from the other."""
    from peft import LoraConfig, get_peft_model

    grouped_attention.register()
    totals = []
    for layers in (2, 3):
        config.num_hidden_layers = layers
        if getattr(config, "layer_types", None):
            config.layer_types = ["full_attention"] * layers
        model: Any = AutoModelForCausalLM.from_config(
            config,
            dtype=torch.bfloat16 if lora and dtype == "bfloat16" else torch.float32,
            attn_implementation=grouped_attention.NAME,
        )
        if lora:
            model = get_peft_model(model, LoraConfig(r=lora.r, target_modules="all-linear", task_type="CAUSAL_LM"))
        inner = model.get_base_model() if lora else model
        weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
        shapes = {size for p in model.parameters() for size in (tuple(p.shape), tuple(p.shape[::-1]))}
        saved: dict[int, Any] = {}

        def keep(tensor: Any, weights: Any = weights, shapes: Any = shapes, saved: Any = saved) -> Any:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights and tuple(tensor.shape) not in shapes:
                saved[storage.data_ptr()] = tensor
            return tensor

        ids = torch.randint(500, (rows, length))
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16")
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t), autocast:
            inner.base_model(ids, attention_mask=torch.ones_like(ids), use_cache=False)
        totals.append(sum(t.untyped_storage().nbytes() for t in saved.values()))
    return totals[1] - totals[0]


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("lora", [None, Lora(r=4)], ids=["full", "lora"])
@pytest.mark.parametrize("kind", [LlamaConfig, Qwen3Config])
def test_activations_are_what_autograd_saves(kind: Any, lora: Lora | None, dtype: str) -> None:
    rows, length = 3, 96
    config = kind(**SIZES)
    seen = kept_for_backward(config, lora, dtype, False, rows, length)
    shape = model_shape("m", config).model_copy(update={"layers": 1})
    counted = activation_bytes(shape, rows * length, length, lora, dtype, False)
    assert counted == pytest.approx(seen, rel=0.12)


def test_turns_have_the_mean_that_was_asked_for() -> None:
    for mean, limit in ((10, 100), (50, 100), (90, 100), (300, 4000)):
        decay = turn_decay(mean, limit)
        assert decay * -math.expm1(-limit / decay) == pytest.approx(mean, rel=1e-6)
        assert alive(0, mean, limit) == 1 and alive(limit, mean, limit) == 0
    assert math.isinf(turn_decay(100, 100))


def test_the_longest_turn_is_that_of_drawn_ones() -> None:
    mean, limit, rows = 40.0, 120, 16
    dice, decay = random.Random(0), turn_decay(mean, limit)
    drawn = [max(min(limit, dice.expovariate(1 / decay)) for _ in range(rows)) for _ in range(2000)]
    assert longest_turn(rows, mean, limit) == pytest.approx(sum(drawn) / len(drawn), rel=0.02)
    assert longest_turn(rows, limit, limit) == limit


def test_decoding_by_hand() -> None:
    traffic = 2e6
    slow_memory = MACHINE.model_copy(update={"bandwidth": 1e6, "decode": 1e30, "layer_seconds": 0.5, "draws": 1e3})
    seconds = decoding_seconds(SHAPE, slow_memory, 4, 100, 2, 2, traffic)
    cached = 4 * cache_bytes(SHAPE) * (100 + 101)
    assert seconds == pytest.approx(2 * (10 * 0.5 + 4 * 1000 / 1e3) + (2 * traffic + cached) / 1e6)
    busy = MACHINE.model_copy(update={"bandwidth": 1e30, "decode": 1e6})
    assert decoding_seconds(SHAPE, busy, 4, 100, 2, 2, traffic) == pytest.approx(2 * 4 * 2 * (1.4e6 + 1e5) / 1e6)


def test_rows_that_end_early_save_time() -> None:
    given = (SHAPE, MACHINE, 64, 100)
    assert decoding_seconds(*given, 50, 200, 1e6) < 0.6 * decoding_seconds(*given, 200, 200, 1e6)


def test_operations_by_hand() -> None:
    attention = 12 * 10 * 100 * 128
    assert training_operations(SHAPE, 1, 128, None) == 6 * 1_400_000 + attention
    assert training_operations(SHAPE, 1, 128, Lora(r=2)) == 4 * 1_400_000 + 6 * 2 * 20_000 + attention
    again = 2 * 1_400_000 + attention / 3
    assert training_operations(SHAPE, 1, 128, None, True) == 6 * 1_400_000 + attention + again


def test_states_of_full_training_take_sixteen_bytes_a_weight() -> None:
    memory = planned(dtype="float32").memory
    assert (memory.weights + memory.optimizer + memory.gradients) * GIB == pytest.approx(16 * SHAPE.parameters)
    halves = planned(dtype="float32", processes=2, sharded=True).memory
    assert (halves.weights, halves.optimizer) == (memory.weights / 2, memory.optimizer / 2)
    adapters = planned(lora=Lora(r=2)).memory
    assert adapters.optimizer * GIB == 8 * 2 * 20_000
    assert adapters.weights * GIB == 2 * SHAPE.parameters + 4 * 2 * 20_000


def test_the_peak_counts_caches_or_gradients_not_both() -> None:
    memory = planned().memory
    stays = memory.runtime + memory.engine + memory.weights + memory.optimizer
    learning = memory.gradients + memory.activations + memory.logits
    assert memory.total == stays + max(learning, memory.kv_cache)


def test_what_grows_with_what() -> None:
    base = planned()
    consulting = planned(lengths=LENGTHS.model_copy(update={"consult_share": 0.5}))
    assert consulting.times.prefill > base.times.prefill and consulting.times.training > base.times.training
    assert consulting.sampled_tokens == 1.5 * base.sampled_tokens
    saving = planned(settings=SETTINGS.model_copy(update={"gradient_checkpointing": True}))
    assert saving.memory.activations < 0.5 * base.memory.activations and saving.times.training > base.times.training
    shared = planned(processes=4)
    assert shared.times.training == pytest.approx(base.times.training / 4)
    judged = planned(lengths=LENGTHS.model_copy(update={"judge_seconds": 2, "judge_concurrency": 8}))
    assert judged.times.judge == 16 * 2 / 8
    engine = planned(
        settings=SETTINGS.model_copy(update={"vllm": "colocate", "vllm_gpu_memory": 0.25}),
        machine=MACHINE.model_copy(update={"memory": 8 * GIB}),
    )
    assert (engine.memory.engine, engine.memory.kv_cache) == (2, 0)
    assert engine.times.old_log_probabilities > 0 and base.times.old_log_probabilities == 0
    linked = planned(processes=4, machine=MACHINE.model_copy(update={"link": 1e9}))
    assert linked.times.communication == pytest.approx(8 * 1.5e6 * 0.75 / 1e9)


def test_processes_that_can_not_share_a_step_are_refused() -> None:
    with pytest.raises(InputError, match=r"4 x 3 processes must divide 16"):
        planned(processes=3)


@pytest.mark.parametrize(("max_steps", "prompts"), [(0, 50), (7, 50), (0, 1)])
def test_steps_are_those_of_the_trainer(max_steps: int, prompts: int) -> None:
    settings = SETTINGS.model_copy(update={"max_steps": max_steps})
    assert steps_of(settings, prompts) * settings.prompts_per_step == len(
        prompt_order([Kind.HARMFUL] * prompts, settings, 0)
    )


def test_a_run_is_planned_from_its_configuration(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = RunConfig(model=str(tiny_model), lora=Lora(r=4))
    plan = plan_of(config, "h100", processes=8)
    assert (plan.rollouts, plan.processes, plan.memory_limit) == (128, 8, 80e9 / GIB)
    assert plan.hours == plan.steps * plan.times.total / 3600
    print_plan(plan)
    out = capsys.readouterr().out
    assert "predicted, nothing was run" in out and "128 rollouts a step" in out and "not fit" not in out
    print_plan(plan.model_copy(update={"memory_limit": 0.1}))
    assert "It will not fit" in capsys.readouterr().out
    with pytest.raises(InputError, match="machine z9: unknown, use one of here, a100, h100, h200"):
        plan_of(config, "z9")


@pytest.mark.parametrize("lora", [None, Lora(r=4)], ids=["full", "lora"])
def test_the_probe_gives_figures_of_this_machine(tiny_model: Path, lora: Lora | None) -> None:
    found = probe(str(tiny_model), SETTINGS, LENGTHS, lora, repeats=1)
    for rate in (found.training, found.forward, found.decode, found.head, found.bandwidth, found.draws):
        assert 0 < rate < float("inf")
    for rate in (found.training, found.forward, found.bandwidth):  # the others are differences of two timings
        assert rate < 1e14
    assert found.runtime_memory > 2**26 and found.memory > 2**30
    assert planned(machine=found).times.total > 0


def test_what_the_head_takes_for_a_score_on_a_cpu() -> None:
    """By torch's own account of its allocations, in the backward pass of TRL's fused head."""
    config = LlamaConfig(**SIZES | {"vocab_size": 32768, "num_hidden_layers": 1, "hidden_size": 16})
    model = AutoModelForCausalLM.from_config(config)
    score_labelled_tokens_only()
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    ids = torch.randint(32768, (4, 65))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        with torch.autocast("cpu", torch.bfloat16):
            output = model(input_ids=ids, labels=ids, fused_lm_head=True, use_cache=False)
        output.log_probs.sum().backward()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = list(accumulate(e.nbytes() for e in sorted(events, key=lambda event: event.start_ns())))
    assert max(held) == pytest.approx((2 + CPU_SCORE_BYTES) * 4 * 64 * 32768, rel=0.1)


def test_known_machines_fit_what_they_should() -> None:
    model = {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32}
    config = Qwen3Config(**model, num_key_value_heads=8, head_dim=128, vocab_size=151936, tie_word_embeddings=True)
    shape = model_shape("Qwen3-4B", config)
    assert shape.parameters == pytest.approx(4.02e9, rel=0.01)
    lengths = Lengths(prompt_tokens=300, completion_tokens=800)
    settings = RlSettings(micro_batch_size=2, gradient_checkpointing=True)
    sharded = plan_step(shape, settings, lengths, MACHINES["h100"], processes=8, sharded=True)
    whole = plan_step(shape, settings, lengths, MACHINES["h100"], processes=8)
    assert sharded.memory.total < sharded.memory_limit < whole.memory.total + 8
