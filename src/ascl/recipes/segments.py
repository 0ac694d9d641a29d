"""Which token of a training row belongs to the prompt, to a thought or to an answer."""

from ascl.chat.render import Renderer
from ascl.data.row import Row


def reply_segments(row: Row, renderer: Renderer) -> tuple[list[int], list[str]]:
    """Ids of a row's conversation, and for each id `prompt`, `thought` or `answer`.

    A model turn is thought up to the end of its closing mark, answer after it; a turn without a thought is all answer.
    """
    ids, mask = renderer.encode(row.messages, row.tools)
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

    def text(tokens: int) -> str:
        return renderer.tokenizer.decode(ids[:tokens], clean_up_tokenization_spaces=False)

    whole = text(len(ids))
    end = renderer.dialect.thought_end(whole)
    thought = whole[:end]
    low, high = 0, len(ids)
    while low < high:  # the smallest number of tokens that hold the whole thought
        middle = (low + high) // 2
        if text(middle).startswith(thought):
            high = middle
        else:
            low = middle + 1
    return low
