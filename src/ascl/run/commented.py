"""A whole configuration as YAML, with what each part means: the docstrings of the settings, as comments."""

import inspect
import json
import textwrap
from typing import Any

import yaml
from pydantic import BaseModel

from ascl.run.config import RunConfig

_WIDTH = 100


def commented(config: RunConfig) -> str:
    """The configuration with every default filled in."""
    return "\n".join([*_comment(config, ""), *_lines(config, "")]) + "\n"


def _lines(settings: BaseModel, indent: str) -> list[str]:
    found = []
    for name, field in type(settings).model_fields.items():
        found += _entry(field.alias or name, getattr(settings, name), indent)
    return found


def _entry(name: str, value: Any, indent: str) -> list[str]:
    """A setting: one line, or, for settings inside it, their lines after a comment."""
    if isinstance(value, BaseModel):
        return [f"{indent}{name}:", *_comment(value, f"{indent}  "), *_lines(value, f"{indent}  ")]
    if isinstance(value, dict) and value and all(isinstance(one, BaseModel) for one in value.values()):
        inner = [line for key, one in value.items() for line in _entry(key, one, f"{indent}  ")]
        return [f"{indent}{name}:", *inner]
    if isinstance(value, list):
        value = [one.model_dump(mode="json", by_alias=True) if isinstance(one, BaseModel) else one for one in value]
    plain = json.loads(json.dumps(value, default=str))
    text = yaml.safe_dump(plain, default_flow_style=True, width=10_000, allow_unicode=True).removesuffix("...\n")
    return [f"{indent}{name}: {text.strip()}"]


def _comment(settings: BaseModel, indent: str) -> list[str]:
    paragraphs = inspect.cleandoc(type(settings).__doc__ or "").split("\n\n")
    return [
        f"{indent}# {line}"
        for paragraph in paragraphs
        for line in textwrap.wrap(" ".join(paragraph.split()), _WIDTH - len(indent) - 2)
    ]
