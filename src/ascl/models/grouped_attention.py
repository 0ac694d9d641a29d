"""Attention for a CPU: grouped queries share their keys and values without copying them.

transformers' attentions repeat every key and value once for each query head of its group before they multiply; in
decoding those copies cost more than the model. Here the query heads of a group are stacked as rows of one product with
their shared keys: the same numbers, no copies (benchmarks/generation.py). Whole prompts go to SDPA, which does not
keep their scores.
"""

from typing import Any

import torch
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

NAME = "ascl_grouped"
MODEL_TYPES = ("llama", "qwen2", "qwen3")  # plain softmax attention, nothing (soft caps, sinks) beside it


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """softmax(q k^T * scaling + mask) v, with query [B, heads, Q, d] and key, value [B, groups, T, d].

    Returns [B, Q, heads, d]. The mask is additive, [B, 1, Q, T'] with T' >= T.
    """
    batch, heads, length, width = query.shape
    groups, context = key.shape[1], key.shape[2]
    if length > 1:
        mask = None if attention_mask is None else attention_mask[..., :context]
        output = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, mask, dropout if module.training else 0.0, scale=scaling, enable_gqa=True
        )
        return output.transpose(1, 2).contiguous(), None
    stacked = query.reshape(batch, groups, heads // groups * length, width)
    scores = torch.matmul(stacked, key.transpose(2, 3)).view(batch, groups, heads // groups, length, context) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask[:, :, None, :, :context]
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = torch.nn.functional.dropout(weights, p=dropout, training=module.training)
    output = torch.matmul(weights.view(batch, groups, heads // groups * length, context), value)
    return output.view(batch, heads, length, width).transpose(1, 2).contiguous(), None


def register() -> None:
    """Make `attn_implementation=NAME` known to transformers. Idempotent."""
    AttentionInterface.register(NAME, grouped_attention)
    AttentionMaskInterface.register(NAME, eager_mask)
