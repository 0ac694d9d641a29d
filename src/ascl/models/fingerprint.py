"""What a model in this process is, as short hashes: what a resumed run compares, lest it mix the answers of two."""

import hashlib
from contextlib import suppress
from pathlib import Path

from ascl.errors import InputError
from ascl.inputs import read_json

WEIGHTS = (".safetensors", ".bin", ".gguf", ".pt", ".pth")
SMALL = 64 << 20  # bytes of a file that is read whole
BLOCK, BLOCKS = 1 << 16, 64  # of a larger one: so many blocks of so many bytes, evenly spread, the ends among them
# What else says how a model reads and writes.
OTHERS = (
    "config.json", "generation_config.json", "adapter_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model",
    "chat_template.jinja",
)  # fmt: skip


def short_hash(value: str) -> str:
    """The first 16 hex digits of a text's sha256."""
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:16]


def fingerprint(model: str) -> str | None:
    """A short hash of a local folder's weights, configuration and tokenizer, and of its base model's (LoRA).

    sha256 over the name, size and content of each file; of a file above SMALL over BLOCKS blocks of it, its header and
    end among them, so that a model of any size takes well under a second. A change of weights that misses all blocks of
    all files is not seen; a training changes every block. None for what is no folder: a hub id, `embedded`, a model
    that is gone.
    """
    folder = Path(model)
    return _hash_of(folder) if model not in ("", "embedded") and folder.is_dir() else None


def _hash_of(folder: Path) -> str:
    hashed = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if (path.suffix in WEIGHTS or path.name in OTHERS) and path.is_file():
            size = path.stat().st_size
            hashed.update(f"{path.name}\0{size}\0".encode(errors="surrogateescape"))
            with path.open("rb") as file:
                for block in range(BLOCKS if size > SMALL else 1):
                    file.seek(block * (size - BLOCK) // (BLOCKS - 1) if size > SMALL else 0)
                    hashed.update(file.read(BLOCK if size > SMALL else SMALL))
    base = None
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):  # loading it says what is wrong
        base = read_json(folder / "adapter_config.json")["base_model_name_or_path"]
    if isinstance(base, str) and base and Path(base).is_dir() and not (Path(base) / "adapter_config.json").exists():
        hashed.update(_hash_of(Path(base)).encode())
    return hashed.hexdigest()[:16]


def local_facts(model: str, dialect: str | None = None) -> dict[str, str]:
    """Short hashes of what a model in this process adds to its answers: `weights` and `chat template`.

    What can't be known is left out: weights of a hub id, everything of a model that is gone.
    """
    from ascl.models.models import load_renderer

    found = {}
    if weights := fingerprint(model):
        found["weights"] = weights
    with suppress(InputError):
        found["chat template"] = short_hash(load_renderer(model, dialect).dialect.template)
    return found
