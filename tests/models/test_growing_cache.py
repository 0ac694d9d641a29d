"""The cache with room to grow gives the scores that transformers' cache gives, past several reallocations."""

from inspect import signature
from typing import Any

import pytest
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from ascl.models import grouped_attention
from ascl.models.growing_cache import ROOM, GrowingLayer, growing_cache

SIZES: Any = {
    "vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2,
}  # fmt: skip


def scores(model: Any, cache: DynamicCache, prompt: int, tokens: int) -> list[torch.Tensor]:
    """Scores of every step for three prompts padded on the left; halfway the rows are picked anew."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 50, (3, prompt + tokens), generator=generator)
    mask = torch.ones(3, prompt, dtype=torch.long)
    mask[0, : prompt // 2], mask[1, :1] = 0, 0
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    new, found = ids[:, :prompt], []
    with torch.no_grad():
        for step in range(tokens):
            output = model(input_ids=new, attention_mask=mask, position_ids=positions, past_key_values=cache)
            found.append(output.logits[:, -1])
            if step == tokens // 2:
                picked = torch.tensor([2, 0, 0])
                cache.batch_select_indices(picked)
                ids, mask, positions = ids[picked], mask[picked], positions[picked]
            new = ids[:, prompt + step : prompt + step + 1]
            mask, positions = torch.cat([mask, mask.new_ones(3, 1)], -1), positions[:, -1:] + 1
    return found


def assert_alike(model: Any, ours: DynamicCache, prompt: int, tokens: int) -> None:
    theirs = scores(model, DynamicCache(config=model.config), prompt, tokens)
    found = scores(model, ours, prompt, tokens)
    assert max(float((a - b).abs().max()) for a, b in zip(found, theirs, strict=True)) < 1e-5


@pytest.mark.parametrize("prompt", [1, 7, 15, 16, 17])
@pytest.mark.parametrize("attention", ["eager", "sdpa", grouped_attention.NAME])
def test_the_scores_are_those_of_transformers_cache(
    prompt: int, attention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ascl.models.growing_cache.ROOM", 16)  # the smaller, the sooner it is used up
    grouped_attention.register()
    torch.manual_seed(0)
    model = LlamaForCausalLM._from_config(LlamaConfig(**SIZES), attn_implementation=attention).eval()
    assert_alike(model, growing_cache(model.config), prompt, 2 * 16 + 3)


def test_layers_with_a_sliding_window_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ascl.models.growing_cache.ROOM", 16)
    sliding = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
    torch.manual_seed(0)
    model = Qwen2ForCausalLM._from_config(Qwen2Config(**SIZES, **sliding), attn_implementation="eager").eval()
    cache = growing_cache(model.config)
    assert [type(layer) for layer in cache.layers] == [GrowingLayer, DynamicSlidingWindowLayer]
    assert_alike(model, cache, 20, 2 * 16)


def test_several_tokens_can_be_appended_at_once() -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM._from_config(LlamaConfig(**SIZES), attn_implementation="sdpa").eval()
    ids = torch.randint(0, 50, (2, 3 * ROOM))
    cache, found, done = growing_cache(model.config), [], 0
    with torch.no_grad():
        for length in (5, ROOM, 1, 2, ROOM + 9, 2 * ROOM - 81):
            output = model(
                input_ids=ids[:, done : done + length],
                attention_mask=torch.ones(2, done + length, dtype=torch.long),
                past_key_values=cache,
            )
            found.append(output.logits)
            done += length
        whole = model(ids).logits
    assert done == ids.shape[1]
    assert torch.allclose(torch.cat(found, 1), whole, atol=1e-5)


def test_a_token_is_written_in_place() -> None:
    layer, token = GrowingLayer(), torch.randn(2, 1, 1, 4)
    layer.update(torch.randn(2, 1, 5, 4), torch.randn(2, 1, 5, 4))
    first, _ = layer.update(token, token)
    second, _ = layer.update(token, token)
    assert second.data_ptr() == first.data_ptr()
    assert layer.get_seq_length() == 7
    assert torch.equal(layer.keys[:, :, -1:], token)


def test_what_we_lean_on_in_transformers_cache() -> None:
    """`DynamicLayer` promises none of it: a new transformers must fail here, not in silence."""
    config = LlamaConfig(**SIZES)
    assert [type(layer) for layer in DynamicCache(config=config).layers] == [DynamicLayer] * 2
    assert list(signature(DynamicLayer.get_mask_sizes).parameters) == ["self", "query_length"]
    layer, states = DynamicLayer(), torch.randn(2, 1, 5, 4)
    assert layer.get_seq_length() == 0
    keys, values = layer.update(states, 2 * states)
    assert (keys is layer.keys, values is layer.values, layer.get_seq_length()) == (True, True, 5)
    assert torch.equal(keys, states) and torch.equal(values, 2 * states)
    layer.batch_select_indices(torch.tensor([1]))
    assert torch.equal(layer.keys, states[1:]) and layer.keys.data_ptr() != keys.data_ptr()
    layer.keys = keys[:, :, :3]
    assert layer.get_seq_length() == 3, "the length is that of the keys"


def test_the_cache_asks_our_layers() -> None:
    cache, states, token = growing_cache(LlamaConfig(**SIZES)), torch.randn(2, 1, 5, 4), torch.randn(2, 1, 1, 4)
    assert cache.get_mask_sizes(5, 0) == (5, 0)
    cache.update(states, states, 0)
    assert cache.get_mask_sizes(1, 0) == (ROOM, 0)
    keys, _ = cache.update(token, token, 0)
    assert (keys.shape[-2], cache.get_seq_length()) == (ROOM, 6)
