"""What RL will need: memory against counts of real tiny models and limits known by hand, and a measured step."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, MixtralConfig, Qwen3Config

from ascl.data.prompt import Kind
from ascl.errors import InputError
from ascl.models import grouped_attention
from ascl.models.models import load_renderer
from ascl.run.config import RunConfig
from ascl.run.costs import costs_of, memory_of
from ascl.train.checkpoints import trainable_model
from ascl.train.costs import ModelShape, activation_bytes, model_shape, trained_parameters
from ascl.train.plan import GIB, Lengths, Memory, plan_memory
from ascl.train.prompt_order import prompt_order, steps_of
from ascl.train.settings import Lora, RlSettings
from ascl.train.training import Training

SIZES = {
    "vocab_size": 500, "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64,
}  # fmt: skip
SHAPE = ModelShape(
    name="x", layers=10, hidden=100, intermediate=300, heads=5, kv_heads=1, head_size=20, vocabulary=1000,
    parameters=1_500_000, block_parameters=1_400_000, linear_width=20_000,
)  # fmt: skip
SETTINGS = RlSettings(group_size=4, prompts_per_step=4, micro_batch_size=4, max_tokens=32)


def planned(**changes: Any) -> Memory:
    given = {"shape": SHAPE, "settings": SETTINGS, "lengths": Lengths(prompt=100, tool=50), "lora": None}
    return plan_memory(**given | changes)


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
    training = Training(model=str(tiny_model), renderer=load_renderer(str(tiny_model)), out=tiny_model, lora=lora)
    model = trainable_model(training)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    shape = model_shape("tiny", AutoConfig.from_pretrained(tiny_model))
    assert trained_parameters(shape, lora) == trained
    assert trained_parameters(shape, None) == shape.parameters


def test_experts_and_processes_that_can_not_share_a_step_are_refused() -> None:
    with pytest.raises(InputError, match=r"4 x 3 processes must divide 16"):
        planned(processes=3)
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


def test_states_of_full_training_take_sixteen_bytes_a_weight() -> None:
    memory = planned(dtype="float32")
    assert (memory.weights + memory.optimizer + memory.gradients) * GIB == pytest.approx(16 * SHAPE.parameters)
    halves = planned(dtype="float32", processes=2, sharded=True)
    assert (halves.weights, halves.optimizer) == (memory.weights / 2, memory.optimizer / 2)
    adapters = planned(lora=Lora(r=2))
    assert adapters.optimizer * GIB == 8 * 2 * 20_000
    assert adapters.weights * GIB == 2 * SHAPE.parameters + 4 * 2 * 20_000


def test_what_grows_with_what() -> None:
    base = planned()
    learning = base.gradients + base.activations + base.logits  # the peak counts caches or gradients, not both
    assert base.total == base.engine + base.weights + base.optimizer + max(learning, base.kv_cache)
    assert planned(settings=SETTINGS.model_copy(update={"gradient_checkpointing": True})).activations < base.activations
    assert planned(processes=4).kv_cache < base.kv_cache
    assert planned(lengths=Lengths(prompt=400, tool=50)).activations > base.activations
    vllm = SETTINGS.model_copy(update={"vllm": "colocate", "vllm_gpu_memory": 0.25})
    engine = planned(settings=vllm, device_gib=8)
    assert (engine.engine, engine.kv_cache) == (2, 0)


@pytest.mark.parametrize(("max_steps", "prompts"), [(0, 50), (7, 50), (0, 1)])
def test_steps_are_those_of_the_trainer(max_steps: int, prompts: int) -> None:
    settings = SETTINGS.model_copy(update={"max_steps": max_steps})
    assert steps_of(settings, prompts) * settings.prompts_per_step == len(
        prompt_order([Kind.HARMFUL] * prompts, settings, 0)
    )


def small_run(model: Path) -> RunConfig:
    rl = {"group_size": 2, "prompts_per_step": 1, "micro_batch_size": 2, "max_steps": 3, "max_tokens": 4}
    arms = {"bc": {"method": "sft"}, "ifpo": {"from": "bc", "method": "rl", "algorithm": "ifpo"}}
    return RunConfig.model_validate(
        {"model": str(model), "dtype": "float32", "lora": {"r": 2}, "rl": rl, "arms": arms, "seeds": [0, 1]}
        | {"evaluate": {"suite": "starter:2", "variants": ["pure"], "max_tokens": 4}}
    )


def test_what_a_run_would_cost_is_said_and_a_step_is_measured(tiny_model: Path, tmp_path: Path) -> None:
    config = small_run(tiny_model)
    lines = costs_of(config, measured=True)
    assert lines[0].startswith("11 stages: eval pure-0, data bc-0, bc-0, eval bc-0, ifpo-0, eval ifpo-0, data bc-1")
    assert lines[1] == "2 arms, seeds 0, 1"
    assert lines[2].startswith("5 evaluations of 8 answers (starter_harmful, starter_sensitive, starter_plain,")
    assert lines[3].startswith("bc: sft, of 399 shipped demonstrations (0 do not fit the rule book), 3 epochs")
    assert lines[4].startswith(
        "ifpo: rl by ifpo, 3 steps of 2 rollouts (2 of each prompt), at most 48 sampled tokens; "
    )
    assert " GiB by formula, " in lines[4] and " measured; a step takes " in lines[4]
    assert list(tmp_path.iterdir()) == []
    assert memory_of("ifpo", config).total > 0
    with pytest.raises(InputError, match="--arm bc: no RL arm of this configuration; use one of ifpo"):
        memory_of("bc", config)
