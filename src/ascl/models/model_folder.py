"""What is read of a model folder: its configuration, its tokenizer, its weights. The only place that loads them.

A folder comes from anyone. None of its Python runs (every loader is told `trust_remote_code=False`, else transformers
asks on the terminal), its weights are safetensors (a pickle is code), and what is wrong with it is one `InputError`.
Sizes are checked against the headers of the weights before anything is allocated, and every tensor of the model must
come from them: transformers and PEFT would fill the others with random numbers.

A model of the hub is fetched into the cache first, and then it is a folder like any other.
"""

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ascl.chat.families import MARKERS
from ascl.chat.neutralise import neutralise
from ascl.errors import InputError
from ascl.inputs import read_json
from ascl.models.adapter_config import AdapterConfig, read_adapter_config
from ascl.servers import model_cached, need_hub

WEIGHTS, ADAPTER = "model.safetensors", "adapter_model.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
READ = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken")  # what is fetched of a hub's model
MANY = 1000  # layers, experts, labels: each of them takes time and memory, whatever its size
PACKED = 16  # numbers of a quantised weight that one stored number may hold (two bits each, packed in int32)


def model_path(name: str) -> str:
    """The folder or hub id behind a model name; fetches the embedded model when it is asked for.

    Raises InputError where it is neither, or the hub can't be reached and its cache does not hold the model.
    """
    if name == "embedded":
        from ascl.models.embedded import embedded_model

        return str(embedded_model())
    if os.path.exists(name):
        folder = Path(name)
        if not folder.is_dir():
            raise InputError(f"model {name}: a folder is expected, and this is none")
        if not (folder / "config.json").exists() and not (folder / "adapter_config.json").exists():
            raise InputError(f"model {name}: the folder holds neither config.json nor adapter_config.json")
        for entry in folder.iterdir():
            if any(entry.match(pattern) for pattern in READ) and not entry.is_file():
                raise InputError(f"model {name}: {entry.name} is no regular file")
        return name
    if not name.isprintable():
        raise InputError(f"model {name!r}: no such folder")
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"model {name}: no such folder")
    need_hub(f"model {name}", model_cached(name))
    return name


def load_config(name: str, revision: str | None = None) -> Any:
    """The transformers configuration of a model (of its base, for a LoRA folder), its numbers checked."""
    folder = _folder(name, revision, ("*.json",))
    if (folder / "adapter_config.json").exists():
        return load_config(_base(name, folder))
    return _config(name, folder)


def check_weights(name: str) -> None:
    """Raise InputError where a folder's weights are not there or can't be read. Only their headers are."""
    folder = Path(model_path(name))
    if folder.is_dir():
        _shapes(name, folder, ADAPTER if (folder / "adapter_config.json").exists() else WEIGHTS)


def load_tokenizer(name: str, revision: str | None = None, **settings: Any) -> Any:
    """The tokenizer of a model, which tells a broken marker from a whole one. settings: see transformers."""
    folder = _folder(name, revision, tuple(pattern for pattern in READ if pattern != "*.safetensors"))
    if (folder / "config.json").exists():  # transformers reads it to find the kind of tokenizer
        settings["config"] = _config(name, folder)
    if (folder / "tokenizer_config.json").exists():
        _object(name, folder / "tokenizer_config.json")
    from transformers import AutoTokenizer

    with _reading(name, "no tokenizer found"):
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **settings)
        broken = [neutralise(marker) for marker in MARKERS]
        ids = tokenizer([*MARKERS, *broken, "\U0010ffff"], add_special_tokens=False)["input_ids"]
    unknown = ids.pop()  # of a character that no vocabulary holds: a vocabulary of words may hold no marker either
    if any(one == other != unknown for one, other in zip(ids, ids[len(MARKERS) :], strict=False)):
        raise InputError(
            f"model {name}: its tokenizer drops the zero-width space that keeps texts from forging markers"
        )
    return tokenizer


def load_weights(name: str, dtype: str, attention: str, revision: str | None = None, for_training: bool = False) -> Any:
    """The model, every tensor of it from its files. A LoRA folder as a PEFT model, trainable with for_training."""
    folder = _folder(name, revision, READ)
    if not (folder / "adapter_config.json").exists():
        return _full_model(name, folder, dtype, attention)
    config = read_adapter_config(name, _object(name, folder / "adapter_config.json"))
    shapes = _shapes(name, folder, ADAPTER)
    config.check_rank(name, shapes)
    base = _base(name, folder)
    model = _full_model(base, _folder(base, None, READ), dtype, attention)
    return _adapted(name, folder, model, config, shapes, for_training)


def _folder(name: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    """The folder of a model; of one on the hub, the files of these patterns are in it."""
    if revision is None or name == "embedded" or os.path.exists(name):
        path = model_path(name)
        if os.path.exists(path):
            return Path(path)
    else:
        need_hub(f"model {name}", model_cached(name, revision))
    from huggingface_hub import snapshot_download

    found = f"no revision {revision} found" if revision else "no such folder, and the hub does not have it"
    with _reading(name, found):
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=list(patterns),
                ignore_patterns=["*/*", "consolidated*"],  # other formats of the same weights
            )
        )


def folder_of(name: str) -> Path:
    """The folder that a model's configuration lies in; of one on the hub, that of its commit in the cache."""
    return _folder(name, None, ("*.json",))


def _base(name: str, folder: Path) -> str:
    base = read_adapter_config(name, _object(name, folder / "adapter_config.json")).base_model_name_or_path
    try:
        at = _folder(base, None, ("*.json",))
    except InputError as error:
        raise InputError(f"model {name}: its base model can't be had ({error})") from error
    if (at / "adapter_config.json").exists():
        raise InputError(f"model {name}: its base model {base} is an adapter itself")
    return base


def _object(name: str, path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except InputError as error:
        raise InputError(f"model {name}: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"model {name}: {path.name}: a JSON object is expected")
    return value


def _config(name: str, folder: Path) -> Any:
    _check_config(name, _object(name, folder / "config.json"))
    from transformers import AutoConfig

    with _reading(name, "config.json can't be used"):
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def _check_config(name: str, raw: dict[str, Any]) -> None:
    """Raise InputError for what transformers would loop over, load from the hub, or skip without a word."""
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

    if raw.get("transformers_weights") is not None:  # which transformers would load in their place, a pickle too
        raise InputError(f"model {name}: config.json: transformers_weights: weights are read of {WEIGHTS} alone")
    waiting = [raw]
    while waiting:
        section = waiting.pop()
        for key, value in section.items():
            if isinstance(value, dict):
                waiting.append(value)
            if re.search(r"(layers?|experts?|blocks|groups|labels|codebooks|stages)$", key):
                if isinstance(value, int | float) and value > MANY:
                    raise InputError(f"model {name}: config.json: {key}: {value} is more than {MANY}")
            elif key.endswith(("attn_implementation", "experts_implementation", "use_kernels")):
                if value and not re.fullmatch(r"[a-z_0-9]+", str(value)):
                    raise InputError(f"model {name}: config.json: {key}: code of the hub is not run; remove the field")
            elif key in ("quantization_config", "compression_config") and value:
                method = value.get("quant_method") if isinstance(value, dict) else None
                if not isinstance(method, str) or method not in AUTO_QUANTIZATION_CONFIG_MAPPING:
                    raise InputError(f"model {name}: config.json: {key}: the method {method} is not known")


def _shapes(name: str, folder: Path, file: str) -> dict[str, list[int]]:
    """The tensors of a folder's safetensors, by the files' headers: name and shape. Nothing is read but those."""
    from safetensors import safe_open

    files = [file]
    index = folder / f"{file}.index.json"
    if not (folder / file).exists() and index.exists():
        named = _object(name, index).get("weight_map")
        if not isinstance(named, dict) or not all(isinstance(part, str) for part in named.values()):
            raise InputError(f"model {name}: {index.name}: it has no weight_map from tensors to files")
        files = sorted(set(named.values()))
        for part in files:
            if Path(part).name != part or not (folder / part).is_file():
                raise InputError(f"model {name}: {index.name}: names {part!r}, which is not there")
    elif not (folder / file).exists():
        pickles = next((path.name for pattern in PICKLES for path in folder.glob(pattern)), None)
        if pickles:
            raise InputError(f"model {name}: {pickles} is a pickle, which may run code; save the weights as {file}")
        raise InputError(f"model {name}: the folder holds no weights ({file})")
    shapes: dict[str, list[int]] = {}
    for part in files:
        with _reading(name, f"{part} can't be read"), safe_open(folder / part, "pt") as opened:
            shapes |= {key: opened.get_slice(key).get_shape() for key in opened.keys()}  # noqa: SIM118 (no mapping)
    if not shapes:
        raise InputError(f"model {name}: {' '.join(files) or index.name}: the file holds no tensors")
    return shapes


def _full_model(name: str, folder: Path, dtype: str, attention: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    shapes = _shapes(name, folder, WEIGHTS)
    config = _config(name, folder)
    stored = sum(_numel(shape) for shape in shapes.values())
    stored *= PACKED if getattr(config, "quantization_config", None) else 1
    with _reading(name, "config.json can't be used"), torch.device("meta"):
        empty: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        described = sum(tensor.numel() for tensor in empty.parameters())  # tied ones once
        kept = sum(tensor.numel() for tensor in empty.buffers())
    if described > stored or kept > max(stored, 2**28):
        raise InputError(
            f"model {name}: config.json describes {max(described, kept):,} numbers, the weights hold {stored:,}"
        )
    del empty
    with _reading(name, "it can't be loaded"):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=attention,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused below
            output_loading_info=True,
        )
    model, report = loaded
    if report["mismatched_keys"]:
        key, held, wanted = min(report["mismatched_keys"])
        raise InputError(f"model {name}: {key} has shape {list(held)} in the weights, {list(wanted)} by config.json")
    _check_keys(name, report["missing_keys"], report["unexpected_keys"])
    return model


def _numel(shape: list[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _check_keys(name: str, missing: Any, unexpected: Any) -> None:
    for keys, what in ((missing, "the weights lack"), (unexpected, "the model has no place for")):
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise InputError(f"model {name}: {what} {min(keys)}{more}; are they of another model?")


def _adapted(
    name: str, folder: Path, model: Any, config: AdapterConfig, shapes: dict[str, list[int]], for_training: bool
) -> Any:
    from peft import LoraConfig, PeftModel, PeftModelForCausalLM, get_peft_model_state_dict

    with _reading(name, "the adapter can't be put on its base model"):
        settings = LoraConfig(**config.lora(), task_type="CAUSAL_LM", inference_mode=not for_training)
        kind = PeftModelForCausalLM if hasattr(model, "prepare_inputs_for_generation") else PeftModel
        adapted = kind(model, settings)
        wanted = get_peft_model_state_dict(adapted, save_embedding_layers=False)
        report = adapted.load_adapter(str(folder), "default", is_trainable=for_training, torch_device="cpu")
    _check_keys(name, set(wanted) - set(shapes), report.unexpected_keys)
    return adapted


@contextmanager
def _reading(name: str, what: str) -> Iterator[None]:
    """Whatever a library raises over a folder becomes one line; what it writes meanwhile is left out."""
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (InputError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic in the Rust of tokenizers is no Exception
        raise InputError(f"model {name}: {what} ({_reason(error)})") from error
    finally:
        transformers_logging.set_verbosity(verbosity)


def _reason(error: BaseException) -> str:
    text = str(error)
    if "trust_remote_code" in text:
        return "it needs Python code of its own, which is not run"
    line = next((line.strip()[:200] for line in text.splitlines() if line.strip()), "")
    return ": ".join(filter(None, ["" if isinstance(error, OSError) and line else type(error).__name__, line]))
