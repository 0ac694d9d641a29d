"""Break every control marker inside untrusted text, so that it can't forge a role, a thought, a call or a result.

Prompts, rule texts, tool arguments and what a model wrote earlier are untrusted: before they enter a chat template
(in process) or leave for a server (which applies its own template), a zero-width space is put after the first character
of every marker. The text still reads the same; the tokenizer no longer sees the marker.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from ascl.chat.messages import Message

BREAK = "\u200b"

# The markers of every model family we know; `<|..|>` and `<｜..｜>` of any name are matched besides. In-process clients
# add their tokenizer's own added tokens.
MARKERS: tuple[str, ...] = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<tools>", "</tools>",
    "✿FUNCTION✿", "✿ARGS✿", "✿RESULT✿", "✿RETURN✿",
    "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<start_of_turn>", "<end_of_turn>", "<unk>", "<pad>",
)  # fmt: skip


@lru_cache(maxsize=64)
def _pattern(markers: tuple[str, ...]) -> re.Pattern[str]:
    # The marker is matched by look-ahead, so that overlapping markers are all broken.
    # Markers are at least two characters, so a break after the first one always falls inside.
    return re.compile(rf"(?=(?:<[|｜][^\s<>|｜]{{1,40}}[|｜]>|{_any_of(markers)}))(.)", re.DOTALL)


def _any_of(texts: tuple[str, ...]) -> str:
    return "|".join(re.escape(text) for text in sorted(set(texts), key=len, reverse=True))


def neutralise(text: str, extra_markers: Iterable[str] = ()) -> str:
    """`text` with every marker broken. Idempotent; text without markers is returned unchanged."""
    extra = tuple(marker for marker in extra_markers if len(marker) > 1)
    return _pattern(MARKERS + extra).sub(rf"\1{BREAK}", text)


def neutralise_value(value: Any, extra_markers: Iterable[str] = ()) -> Any:
    """`neutralise` applied to every string of a JSON value, keys included."""
    if isinstance(value, str):
        return neutralise(value, extra_markers)
    if isinstance(value, list):
        return [neutralise_value(item, extra_markers) for item in value]
    if isinstance(value, dict):
        return {neutralise(str(k), extra_markers): neutralise_value(v, extra_markers) for k, v in value.items()}
    return value


def neutralise_message(message: Message, extra_markers: Iterable[str] = ()) -> Message:
    """A copy of `message` whose every text (content, thought, tool names and arguments) is neutralised."""
    return Message.model_validate(
        message.model_dump(exclude={"content", "reasoning_content", "tool_calls"})
        | {
            "content": neutralise(message.content, extra_markers),
            "reasoning_content": None
            if message.reasoning_content is None
            else neutralise(message.reasoning_content, extra_markers),
            "tool_calls": [
                {"id": call.id} | neutralise_value({"name": call.name, "arguments": call.arguments}, extra_markers)
                for call in message.tool_calls
            ],
        }
    )
