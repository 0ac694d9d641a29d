"""Load a model by name: `embedded`, a hub id, a local folder, or a folder this project trained (LoRA or full)."""

import json
from pathlib import Path
from typing import Any

from ascl.chat.clients.dtype import machine_dtype
from ascl.chat.dialects import DIALECTS, dialect_for
from ascl.chat.render import Renderer
from ascl.errors import InputError
from ascl.servers import model_cached, need_hub


def model_path(name: str) -> str:
    """The folder or hub id behind a model name; fetches the embedded model when it is asked for.

    Raises InputError where it is neither, or the hub can't be reached and its cache does not hold the model.
    """
    if name == "embedded":
        from ascl.chat.clients.embedded import embedded_model

        return str(embedded_model())
    if Path(name).exists():
        if not (Path(name) / "config.json").exists() and not (Path(name) / "adapter_config.json").exists():
            raise InputError(f"model {name}: the folder holds neither config.json nor adapter_config.json")
        return name
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"model {name}: no such folder")
    need_hub(f"model {name}", model_cached(name))
    return name


def load_renderer(name: str, dialect: str | None = None) -> Renderer:
    """The tokenizer of a model with its dialect (found from the tokenizer unless named)."""
    path = model_path(name)
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise InputError(f"model {name}: no tokenizer found ({_first_line(error)})") from error
    if dialect is not None and dialect not in DIALECTS:
        raise InputError(f"dialect {dialect}: unknown, use one of {', '.join(DIALECTS)}")
    try:
        found = DIALECTS[dialect] if dialect else dialect_for(tokenizer.chat_template, tokenizer.get_added_vocab())
    except ValueError as error:
        raise InputError(f"model {name}: {error}") from error
    if tokenizer.convert_tokens_to_ids(found.end_of_turn) in (None, tokenizer.unk_token_id):
        raise InputError(f"model {name}: its tokenizer has no {found.end_of_turn}, which dialect {found.name} needs")
    tokenizer.chat_template = found.template
    tokenizer.clean_up_tokenization_spaces = False  # it would eat spaces before punctuation
    return Renderer(tokenizer, found)


def load_model(name: str, dtype: str = "auto", for_training: bool = False) -> Any:
    """The model itself, on the GPU where there is one; dtype as in `dtype.py`.

    A LoRA folder comes back merged into its base model; with for_training as a PEFT model with trainable weights.
    """
    path, dtype = model_path(name), machine_dtype(dtype)
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        keep_freed_memory()
    adapter = Path(path) / "adapter_config.json"
    try:
        if adapter.exists():
            from peft import PeftModel

            base = json.loads(adapter.read_text())["base_model_name_or_path"]
            base = model_path(base)
            model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, attn_implementation=_attention(base))
            model = PeftModel.from_pretrained(model, path, is_trainable=for_training)
            return (model if for_training else model.merge_and_unload()).to(device)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, attn_implementation=_attention(path))
        return model.to(device)
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(
            f"model {name}: not found as `embedded`, a local folder or a hub id ({_first_line(error)})"
        ) from error


def _attention(path: str) -> str:
    """SDPA on a GPU. On a CPU our own where it fits the model, else eager, which decodes faster than SDPA there."""
    import torch
    from transformers import AutoConfig

    from ascl.chat.clients import grouped_attention

    if torch.cuda.is_available():
        return "sdpa"
    if AutoConfig.from_pretrained(path).model_type not in grouped_attention.MODEL_TYPES:
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


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
