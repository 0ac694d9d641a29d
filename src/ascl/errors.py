"""The error a user can mend: bad input. The command line prints it as one line and exits with 2."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError


class InputError(ValueError):
    """Names the file, line or field at fault, and the mend."""


# The extras of pyproject.toml, and the modules that come with them.
EXTRAS = {
    "train": (
        "torch", "trl", "transformers", "accelerate", "peft", "datasets", "gguf", "math_verify", "safetensors",
        "tokenizers", "huggingface_hub",
    ),
    "dense": ("sentence_transformers",),
    "verl": ("verl", "ray"),
    "eval": ("inspect_ai", "zstandard"),
    "serve": ("aiohttp", "jinja2", "prometheus_client", "starlette", "uvicorn"),
    "otel": ("opentelemetry.sdk", "opentelemetry.exporter"),
}  # fmt: skip


def missing_extra(error: ModuleNotFoundError) -> InputError | None:
    """What to tell a user whose installation lacks the extra that the module comes with; None for other modules."""
    for extra, modules in EXTRAS.items():
        module = next((one for one in modules if f"{error.name}.".startswith(f"{one}.")), None)
        if module is not None:
            return InputError(f"{module} is not installed; this needs the extra `{extra}`: pip install 'ascl[{extra}]'")
    return None


def first_problem(error: "ValidationError", given: Any = None) -> str:
    """The first complaint of a pydantic check in one line: the path to the field, and what is wrong with it.

    given: the mapping that was checked. The path then has its keys alone, without pydantic's names for the members of a
    union.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "extra_forbidden":
        message = "there is no such setting"
    else:
        message = " ".join(first["msg"].removeprefix("Value error, ").split())
    path, parts = [], list(map(str, first["loc"]))
    for place, part in enumerate(parts, 1):
        if isinstance(given, dict):
            inner = {str(key): value for key, value in given.items()}
            if part in inner:
                given = inner[part]
            elif place < len(parts) or first["type"] != "missing":
                continue
        elif isinstance(given, list) and part.isdecimal():
            given = given[int(part)]
        path.append(part)
    return ": ".join(filter(None, [".".join(path), message]))
