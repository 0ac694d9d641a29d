"""The dialects we speak, and how the one a tokenizer needs is found."""

import re
from collections.abc import Collection

from ascl.chat.dialects.deepseek_r1 import DEEPSEEK_R1
from ascl.chat.dialects.dialect import Dialect
from ascl.chat.dialects.gpt_oss import GPT_OSS
from ascl.chat.dialects.mistral import MISTRAL
from ascl.chat.dialects.qwen3 import QWEN3
from ascl.chat.dialects.qwen_agent import QWEN_AGENT
from ascl.chat.dialects.smollm2 import SMOLLM2
from ascl.errors import InputError
from ascl.extension import imported, is_import_path

# The first whose tokens a tokenizer has is taken: SmolLM2's are those of any ChatML model, so it is the last.
DIALECTS: dict[str, Dialect] = {d.name: d for d in (DEEPSEEK_R1, GPT_OSS, MISTRAL, QWEN3, QWEN_AGENT, SMOLLM2)}


def dialect_named(name: str) -> Dialect:
    """The dialect of a name, one of `DIALECTS` or an import path (`package.module:NAME`). Raises InputError."""
    if name in DIALECTS:
        return DIALECTS[name]
    if not is_import_path(name):
        known = f"use one of {', '.join(DIALECTS)}, or one of your own as package.module:NAME"
        raise InputError(f"dialect {name}: unknown, {known}")
    found = imported(name)
    if not isinstance(found, Dialect):
        raise InputError(f"dialect {name}: is no ascl.chat.dialects.dialect.Dialect")
    return found


def dialect_for(template: str | None, vocabulary: Collection[str]) -> Dialect:
    """The dialect of a model: the one its saved template names, else the one its added tokens show.

    template: the tokenizer's chat template, if it has one. vocabulary: its added tokens.
    Raises ValueError where neither tells.
    """
    if isinstance(template, str) and (named := re.match(r"\{#- ascl dialect: (\w+) -#\}", template)):
        if named.group(1) not in DIALECTS:
            raise ValueError(
                f"its template is of the unknown dialect {named.group(1)}; name it, where it is one of your own"
            )
        return DIALECTS[named.group(1)]
    for dialect in DIALECTS.values():
        if dialect.shown_by and all(token in vocabulary for token in dialect.shown_by):
            return dialect
    raise ValueError(f"no dialect fits this tokenizer: set `dialect:` to one of {', '.join(DIALECTS)}")
