"""How much each choice of the in-process client speeds up decoding on this machine, and what its memory allows.

    python benchmarks/generation.py [--model embedded] [--batch 32] [--tokens 40]

Prints a table of tokens per second for the stock transformers path (`generate` with SDPA attention, multinomial
sampling) and for our decoding loop with each attention and either cache, with the ratio to stock. The answers run to
--tokens each, so what is gained where short answers leave the batch early is not in it. Run it on an idle machine.

Beside each stands its share of the limit that the memory's bandwidth sets, which a copy measures. Reading the prompts
is in the seconds and not in the limit. On a GPU the default is SDPA and not our attention.
"""

import argparse
import time
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, DynamicCache, GenerationConfig
from transformers.utils import logging

from ascl.chat.messages import Message
from ascl.consult.rollout import start
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.load import load_prompts
from ascl.models import grouped_attention
from ascl.models.in_process import InProcessClient
from ascl.models.model_folder import model_path
from ascl.models.models import load_renderer
from ascl.models.sampling import Sampling
from ascl.rules.book import RuleBook
from ascl.train.costs import cache_bytes, model_shape

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
COPIED = 2**30 if DEVICE == "cuda" else 2**28  # bytes, far more than any cache holds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=40)
    options = parser.parse_args()
    logging.disable_progress_bar()
    renderer = load_renderer(options.model)
    tool = ConsultTool(RuleBook.load())
    prompts = [with_rules("ascl", prompt.messages, tool) for prompt in load_prompts(["starter"])[: options.batch]]
    grouped_attention.register()
    moved = bandwidth()
    best = 0.0
    table = Table("decoding", "seconds", "tokens/s", "ratio", "of the limit")
    stock = 0.0
    for name, attention, run in (
        ("stock: SDPA, multinomial", "sdpa", _stock),
        ("our loop, transformers' cache, SDPA", "sdpa", _stock_cache),
        ("our loop, transformers' cache, eager attention", "eager", _stock_cache),
        ("our loop, transformers' cache, grouped attention", grouped_attention.NAME, _stock_cache),
        ("our loop, growing cache, SDPA", "sdpa", _ours),
        ("our loop, growing cache, grouped attention (the default)", grouped_attention.NAME, _ours),
    ):
        model: Any = AutoModelForCausalLM.from_pretrained(
            model_path(options.model), dtype=torch.bfloat16, attn_implementation=attention, trust_remote_code=False
        )
        model.to(DEVICE)
        best = best or limit_of(model, renderer, tool, prompts, options.tokens, moved)
        run(model, renderer, tool, prompts, 2)
        started = time.perf_counter()
        tokens = run(model, renderer, tool, prompts, options.tokens)
        seconds = time.perf_counter() - started
        stock = stock or tokens / seconds
        speed = tokens / seconds
        table.add_row(name, f"{seconds:.2f}", f"{speed:,.1f}", f"{speed / stock:.2f}", f"{speed / best:.1%}")
    console = Console(width=110)
    console.print(table)
    console.print(f"{DEVICE}: a copy moves {moved / 1e9:.0f} GB/s; the limit is {best:,.0f} tokens/s")


def bandwidth() -> float:
    """Bytes a second that this device's memory reads and writes: the best of ten copies of COPIED bytes."""
    source = torch.ones(COPIED, dtype=torch.uint8, device=DEVICE)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        target.copy_(source)
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return 2 * COPIED / min(seconds)


def bandwidth_limit(weights: float, cache: float, rows: int, moved: float) -> float:
    """Tokens a second where each step does no more than read all weights, and the keys and values of every row.

        rows * moved / (weights + rows * cache)

    weights, cache: bytes, the latter of one row. moved: bytes a second.
    """
    return rows * moved / (weights + rows * cache)


def limit_of(
    model: Any, renderer: Any, tool: ConsultTool, prompts: list[list[Message]], tokens: int, moved: float
) -> float:
    """The limit for these prompts, rows half-way through their answers."""
    length = sum(len(renderer.prompt_ids(messages, [tool.schema])) for messages in prompts) / len(prompts) + tokens / 2
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return bandwidth_limit(weights, length * cache_bytes(model_shape("", model.config)), len(prompts), moved)


def _ours(model: Any, renderer: Any, tool: ConsultTool, prompts: list[list[Message]], tokens: int) -> int:
    batch = [start(str(i), messages) for i, messages in enumerate(prompts)]
    sampling = Sampling(temperature=1.0, max_tokens=tokens)
    turns = InProcessClient(model, renderer).complete(batch, [tool.schema], sampling)
    return sum(turn.tokens for turn in turns)


def _stock_cache(*arguments: Any) -> int:
    with patch("ascl.models.growing_cache.growing_cache", lambda config: DynamicCache(config=config)):
        return _ours(*arguments)


def _stock(model: Any, renderer: Any, tool: ConsultTool, prompts: list[list[Message]], tokens: int) -> int:
    contexts = [renderer.prompt_ids(messages, [tool.schema]) for messages in prompts]
    width, pad = max(map(len, contexts)), renderer.tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(c)) + c for c in contexts], device=DEVICE)
    mask = torch.tensor([[0] * (width - len(c)) + [1] * len(c) for c in contexts], device=DEVICE)
    config = GenerationConfig(
        max_new_tokens=tokens,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        eos_token_id=renderer.tokenizer.eos_token_id,
        pad_token_id=pad,
    )
    torch.manual_seed(0)
    output = model.generate(ids, attention_mask=mask, generation_config=config)[:, width:]
    return int((output != pad).sum())


if __name__ == "__main__":
    main()
