"""Our CPU attention gives what transformers' eager attention gives, on whole prompts, in decoding and with padding."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from ascl.models import grouped_attention
from ascl.models.models import load_model

SIZES = {"vocab_size": 97, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 6}


@pytest.fixture(params=["llama, 2 groups", "llama, 6 groups", "qwen2, 1 group"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    kind, groups = request.param.split(", ")
    torch.manual_seed(0)
    sizes: Any = SIZES | {"num_key_value_heads": int(groups.split()[0])}
    model: Any = LlamaForCausalLM(LlamaConfig(**sizes)) if kind == "llama" else Qwen2ForCausalLM(Qwen2Config(**sizes))
    model.save_pretrained(tmp_path)
    return tmp_path


def both(folder: Path) -> list[Any]:
    grouped_attention.register()
    return [
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=name).eval()
        for name in ("eager", grouped_attention.NAME)
    ]


def padded() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.arange(40).reshape(4, 10) % 97
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    mask[3, :9] = 0
    return ids, mask


@torch.no_grad()
def test_whole_prompts_and_decoding(folder: Path) -> None:
    ids, mask = padded()
    outputs = []
    for model in both(folder):
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        first = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True)
        longer = torch.cat([mask, mask.new_ones(4, 1)], dim=-1)
        second = model(
            input_ids=ids[:, :1],
            attention_mask=longer,
            position_ids=positions[:, -1:] + 1,
            past_key_values=first.past_key_values,
            use_cache=True,
        )
        seen = mask.bool()
        outputs.append((first.logits[seen], second.logits))
    for eager, ours in zip(*outputs, strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-4, atol=1e-5)


def test_gradients(folder: Path) -> None:
    ids, mask = padded()
    norms = []
    for model in both(folder):
        # The first token is predicted by a padded position, which attends to nothing: no loss there.
        labels = ids.masked_fill(mask.cumsum(-1) <= 1, -100)
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        norms.append([p.grad.norm().item() for p in model.parameters() if p.grad is not None])
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU takes SDPA")
def test_a_loaded_model_takes_it_where_it_fits(folder: Path, tmp_path: Path) -> None:
    assert load_model(str(folder)).config._attn_implementation == grouped_attention.NAME
