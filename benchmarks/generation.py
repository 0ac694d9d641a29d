"""How much each choice of the in-process client speeds up decoding on this machine.

    python benchmarks/generation.py [--model embedded] [--batch 32] [--tokens 40]

Prints a table of tokens per second for the stock transformers path (`generate` with SDPA attention, multinomial
sampling) and for our decoding loop with each attention and either cache, with the ratio to stock. The answers run to
--tokens each, so what is gained where short answers leave the batch early is not in it. Run it on an idle machine.
"""

import argparse
import time
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, DynamicCache, GenerationConfig

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=40)
    options = parser.parse_args()
    renderer = load_renderer(options.model)
    tool = ConsultTool(RuleBook.load())
    prompts = [with_rules("ascl", prompt.messages, tool) for prompt in load_prompts(["starter"])[: options.batch]]
    grouped_attention.register()
    table = Table("decoding", "seconds", "tokens/s", "ratio")
    stock = 0.0
    for name, attention, run in (
        ("stock: SDPA, multinomial", "sdpa", _stock),
        ("our loop, transformers' cache, SDPA", "sdpa", _stock_cache),
        ("our loop, transformers' cache, eager attention", "eager", _stock_cache),
        ("our loop, transformers' cache, grouped attention", grouped_attention.NAME, _stock_cache),
        ("our loop, growing cache, SDPA", "sdpa", _ours),
        ("our loop, growing cache, grouped attention (the default)", grouped_attention.NAME, _ours),
    ):
        model = AutoModelForCausalLM.from_pretrained(
            model_path(options.model), dtype=torch.bfloat16, attn_implementation=attention, trust_remote_code=False
        )
        run(model, renderer, tool, prompts, 2)
        started = time.perf_counter()
        tokens = run(model, renderer, tool, prompts, options.tokens)
        seconds = time.perf_counter() - started
        stock = stock or tokens / seconds
        table.add_row(name, f"{seconds:.2f}", f"{tokens / seconds:.0f}", f"{tokens / seconds / stock:.2f}")
    Console().print(table)


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
    ids = torch.tensor([[pad] * (width - len(c)) + c for c in contexts])
    mask = torch.tensor([[0] * (width - len(c)) + [1] * len(c) for c in contexts])
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
