"""Which tokens of a rollout choose between consulting and answering directly."""

from ascl.chat.messages import Trajectory
from ascl.chat.render import Renderer


def decision_length(trajectory: Trajectory, renderer: Renderer) -> int:
    """How many of the completion's first tokens make the choice of mode.

    They are the first turn's thought and the first token after it that is not blank: there a call begins, or an
    answer. Without a thought it is that token alone; where the thought never closes, the whole turn. In a dialect with
    channels it is the name of the channel. 0 without tokens.
    """
    end = next((i for i, own in enumerate(trajectory.completion_mask) if not own), len(trajectory.completion_mask))
    ids = trajectory.completion_ids[:end]
    low, high = 1, len(ids)
    while low < high:  # the smallest length that shows what follows the thought
        middle = (low + high) // 2
        if _chosen(renderer, ids[:middle]):
            high = middle
        else:
            low = middle + 1
    return min(low, len(ids))


def _chosen(renderer: Renderer, ids: list[int]) -> bool:
    """Whether the ids of a turn go beyond the thought it begins with."""
    text = renderer.tokenizer.decode(ids, skip_special_tokens=False)
    end = renderer.dialect.thought_end(text)
    return end is not None and bool(text[end:].strip())
