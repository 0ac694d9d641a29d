"""The shape of a dense decoder, and the bytes that training and sampling hold for it (sources: `plan.py`)."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from ascl.errors import InputError
from ascl.train.settings import Lora


class ModelShape(BaseModel):
    """The sizes of a dense decoder. block_parameters: in the matrices of all layers, biases and norms left out.

    linear_width: the sum of in + out over those matrices, so that LoRA of rank r has r * linear_width parameters.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    parameters: int
    block_parameters: int
    linear_width: int
    query_key_norm: bool = False

    @property
    def query_width(self) -> int:
        """heads * head_size."""
        return self.heads * self.head_size

    @property
    def kv_width(self) -> int:
        """kv_heads * head_size, the width of the keys (and of the values) of a token in one layer."""
        return self.kv_heads * self.head_size


def model_shape(name: str, config: Any) -> ModelShape:
    """The shape of the model that a transformers configuration describes; its weights are never made.

    Raises InputError for a mixture of experts, whose arithmetic is another.
    """
    if any(getattr(config, key, None) for key in ("num_experts", "num_local_experts", "n_routed_experts")):
        raise InputError(f"model {name}: a mixture of experts can't be planned for (dense models only)")
    model, linears = empty_model(config)
    return ModelShape(
        name=name,
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        intermediate=config.intermediate_size,
        heads=config.num_attention_heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or config.num_attention_heads,
        head_size=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        vocabulary=config.vocab_size,
        parameters=sum(p.numel() for p in model.parameters()),  # tied ones once
        block_parameters=sum(m.weight.numel() for m in linears),
        linear_width=sum(m.in_features + m.out_features for m in linears),
        query_key_norm=any(name.endswith("q_norm.weight") for name, _ in model.named_parameters()),
    )


def parameters_of(config: Any, lora: Lora | None) -> tuple[int, int]:
    """How many parameters the model of a transformers configuration has, and how many of them are trained."""
    model, linears = empty_model(config)
    parameters = sum(p.numel() for p in model.parameters())
    return parameters, lora.r * sum(m.in_features + m.out_features for m in linears) if lora else parameters


def empty_model(config: Any) -> tuple[Any, list[Any]]:
    """The model of a configuration without its weights, and its linear layers without the head."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    head = model.get_output_embeddings()
    return model, [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]


def cache_bytes(shape: ModelShape, width: int = 2) -> float:
    """Bytes of keys and values of one token in all layers: 2 L kv_width width."""
    return 2 * shape.layers * shape.kv_width * width


def activation_bytes(
    shape: ModelShape, tokens: float, length: float, lora: Lora | None, dtype: str, gradient_checkpointing: bool
) -> float:
    """Bytes kept for the backward pass of one micro-batch of `tokens`, padding included.

    Per token and layer in bfloat16 (counted by saved_tensors_hooks, tests/train/test_plan.py):

        full: 26 h + 4 q + 4 kv + 8 m + 2 length (a mask)    LoRA: 18 h + 6 q + 4 kv + 8 m + 14 r
        query and key norms: + 6 (q + kv)                    + 4 (q + kv)

    h: float32 residuals, and a cast copy of them for each matrix they enter. In float32: 24 h (LoRA: 16 h) + 8 q + 8 kv
    + 16 m, norms 8 (4) times q + kv, 28 r. Gradient checkpointing keeps the input of each layer and recomputes one at
    a time.
    """
    h, q, kv, m = shape.hidden, shape.query_width, shape.kv_width, shape.intermediate
    norms = q + kv if shape.query_key_norm else 0
    if dtype == "float32":
        layer: float = (16 if lora else 24) * h + 8 * q + 8 * kv + 16 * m + (4 if lora else 8) * norms
        layer += 28 * lora.r if lora else 0
    elif lora is None:
        layer = 26 * h + 4 * q + 4 * kv + 8 * m + 2 * length + 6 * norms
    else:
        layer = 18 * h + 6 * q + 4 * kv + 8 * m + 4 * norms + 14 * lora.r
    if gradient_checkpointing:
        return tokens * (shape.layers * h * (2 if lora and dtype == "bfloat16" else 4) + layer)
    return tokens * shape.layers * layer


def trained_parameters(shape: ModelShape, lora: Lora | None) -> int:
    """All of them, or those of the adapters."""
    return lora.r * shape.linear_width if lora else shape.parameters
