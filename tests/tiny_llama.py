"""The tiny model of all tests: a random Llama that speaks the embedded model's template."""

import json
import shutil
from pathlib import Path

VOCABULARY = 2048


def tiny_llama(embedded: Path, folder: Path, vocabulary: int = VOCABULARY) -> Path:
    """A model over the first tokens of the embedded model's tokenizer: nearly all time of a tiny one is its head's."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    shutil.copytree(embedded, folder, ignore=shutil.ignore_patterns("model*", "config.json", "generation*"))
    cut = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    kept = {token: i for token, i in cut["model"]["vocab"].items() if i < vocabulary}
    cut["model"]["vocab"] = kept  # what a merge makes comes right behind what the merge before it makes
    cut["model"]["merges"] = [pair for pair in cut["model"]["merges"] if "".join(pair) in kept]
    (folder / "tokenizer.json").write_text(json.dumps(cut), encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
