"""Load a model by name: `embedded`, a hub id, a local folder, or a folder this project trained (LoRA or full)."""

from typing import Any

from ascl.chat.dialects import dialect_for, dialect_named
from ascl.chat.dialects.dialect import Dialect
from ascl.chat.render import Renderer
from ascl.errors import InputError
from ascl.models.dtype import machine_dtype
from ascl.models.model_folder import load_config, load_tokenizer, load_weights


def load_renderer(name: str, dialect: str | None = None) -> Renderer:
    """The tokenizer of a model with its dialect (found from the tokenizer unless named)."""
    tokenizer = load_tokenizer(name)
    size, last = load_config(name).get_text_config().vocab_size, max(tokenizer.get_vocab().values(), default=0)
    if last >= size:
        raise InputError(f"model {name}: its tokenizer has token {last}, and config.json a vocab_size of {size}")
    found = dialect_named(dialect) if dialect else _dialect_of(name, tokenizer)
    for end in found.ends:
        if tokenizer.convert_tokens_to_ids(end) in (None, tokenizer.unk_token_id):
            raise InputError(f"model {name}: its tokenizer has no {end}, which dialect {found.name} needs")
    tokenizer.chat_template = found.template
    tokenizer.clean_up_tokenization_spaces = False  # it would eat spaces before punctuation
    return Renderer(tokenizer, found)


def _dialect_of(name: str, tokenizer: Any) -> Dialect:
    try:
        return dialect_for(tokenizer.chat_template, tokenizer.get_added_vocab())
    except ValueError as error:
        raise InputError(f"model {name}: {error}") from error


def load_model(name: str, dtype: str = "auto", for_training: bool = False, revision: str | None = None) -> Any:
    """The model itself, on the GPU where there is one; dtype as in `dtype.py`, revision of a model on the hub.

    A LoRA folder comes back merged into its base model; with for_training as a PEFT model with trainable weights.
    """
    config, dtype = load_config(name, revision), machine_dtype(dtype)
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        keep_freed_memory()
    model = load_weights(name, dtype, _attention(config.model_type), revision, for_training)
    if not for_training and hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    return model.to(device)


def inside_adapters(model: Any) -> Any:
    """The model inside its adapters; a model without adapters as it is."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _attention(model_type: str) -> str:
    """SDPA on a GPU. On a CPU our own where it fits the model, else eager, which decodes faster than SDPA there."""
    import torch

    from ascl.models import grouped_attention

    if torch.cuda.is_available():
        return "sdpa"
    if model_type not in grouped_attention.MODEL_TYPES:
        return "eager"
    grouped_attention.register()
    return grouped_attention.NAME


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory instead of handing it back to the system at every step.

    Tensors of a few megabytes come and go all the time; returning them makes the kernel zero new pages again and again,
    a large part of a training step. Does nothing where the C library is not glibc.
    """
    import ctypes

    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(mmap_threshold, 1 << 30)
    mallopt(trim_threshold, (1 << 31) - 1)
