"""Which token of a training row belongs to the prompt, to a thought or to an answer."""

from typing import Any

from ascl.chat.messages import message_of
from ascl.chat.render import Renderer

CLOSE = "</think>"


def reply_segments(row: dict[str, Any], renderer: Renderer) -> tuple[list[int], list[str]]:
    """Ids of a row's conversation, and for each id `prompt`, `thought` or `answer`.

    A model turn is thought up to the end of its closing tag, answer after it; a turn without a thought is all answer.
    """
    ids, mask = renderer.encode([message_of(message) for message in row["messages"]], row.get("tools") or [])
    segment = ["prompt"] * len(ids)
    at = 0
    while at < len(ids):
        if not mask[at]:
            at += 1
            continue
        end = next((i for i in range(at, len(ids)) if not mask[i]), len(ids))
        border = at + _thought_tokens(ids[at:end], renderer)
        segment[at:end] = ["thought"] * (border - at) + ["answer"] * (end - border)
        at = end
    return ids, segment


def _thought_tokens(ids: list[int], renderer: Renderer) -> int:
    """How many tokens of a model turn reach to the end of its thought (0 without one)."""
    text = renderer.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    if CLOSE not in text:
        return 0
    low, high = 0, len(ids)
    while low < high:
        middle = (low + high) // 2
        if CLOSE in renderer.tokenizer.decode(ids[:middle], clean_up_tokenization_spaces=False):
            high = middle
        else:
            low = middle + 1
    return low
