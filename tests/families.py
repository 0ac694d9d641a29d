"""A real tokenizer for every dialect: the embedded model's, with the added tokens of each family put in."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from ascl.chat.dialects import DIALECTS
from ascl.chat.render import Renderer

# The tokens a family adds to its vocabulary: (special, not special). Qwen2.5 has no <think> (dialect qwen_agent). Of a
# family that is not here they are what its dialect names, all of them special.
FAMILIES: dict[str, tuple[list[str], list[str]]] = {
    "smollm2": ([], []),
    "qwen3": (
        ["<|object_ref_start|>", "<|vision_start|>"],
        ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<|fim_prefix|>"],
    ),
    "qwen_agent": (["<|box_start|>"], ["<tool_call>", "</tool_call>", "<|repo_name|>"]),
    "deepseek_r1": (
        ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"],
        ["<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "<｜tool▁calls▁begin｜>", "<|EOT|>"],
    ),
}


@cache
def _loaded(embedded: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(embedded)


def family_tokenizer(embedded: Path, name: str) -> Any:
    """The tokenizer of a family."""
    from tokenizers.decoders import ByteLevel
    from tokenizers.normalizers import NFC
    from transformers import AddedToken

    tokenizer = deepcopy(_loaded(embedded))  # a third of what loading costs
    dialect = DIALECTS[name]
    special, plain = FAMILIES.get(name, ([*dialect.marks, *dialect.ends, *dialect.shown_by], []))
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    if name != "smollm2":
        tokenizer.backend_tokenizer.decoder = ByteLevel()
    if name in ("qwen3", "qwen_agent"):
        tokenizer.backend_tokenizer.normalizer = NFC()
    return tokenizer


class Renderers(dict[str, Renderer]):
    """A renderer for each dialect; short in the reports of failed examples."""

    def __repr__(self) -> str:
        return "renderers"
