"""GRPO with a price on consulting for prompts that need none: the ablation that fails in arXiv 2602.13562."""

from typing import TYPE_CHECKING

from ascl.train.advantages.group import check_group
from ascl.train.advantages.grpo import grpo_advantages

if TYPE_CHECKING:
    import torch


def consult_penalty_advantages(
    rewards: "torch.Tensor",
    consulted: "torch.Tensor",
    sensitive: "torch.Tensor",
    penalty: float = 0.1,
    eps: float = 1e-4,
) -> "torch.Tensor":
    """GRPO's advantage of R_i - penalty * [i consulted and its prompt is not a harmful one].

    rewards: float [groups, G], NaN unscored. consulted: bool [groups, G]. sensitive: bool [groups, 1] or [groups, G].
    Returns float [groups, G]; penalty 0 is GRPO. Raises ValueError for other shapes.

    Divided by the group's standard deviation, a penalty of any size becomes the whole signal in a group whose rewards
    are otherwise equal: that is why a tenth is enough to end consulting there (docs/advantages.md).
    """
    import torch

    check_group(rewards, consulted)
    groups, size = rewards.shape
    if sensitive.dtype != torch.bool or sensitive.shape not in ((groups, 1), (groups, size)):
        raise ValueError(
            f"sensitive must be bool [{groups}, 1 or {size}], got {sensitive.dtype} {tuple(sensitive.shape)}"
        )
    return grpo_advantages(rewards - penalty * (consulted & sensitive), eps)
