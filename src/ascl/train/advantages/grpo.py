"""GRPO's group-relative advantage (DeepSeekMath, arXiv 2402.03300, section 4.1)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def grpo_advantages(rewards: "torch.Tensor", eps: float = 1e-4) -> "torch.Tensor":
    """A_i = (R_i - mean_G R) / (std_G R + eps), over the last dimension.

    rewards: float [groups, G]. Returns float [groups, G]. std is the unbiased one (n - 1) and eps 1e-4, as in TRL.
    Raises ValueError for another shape or G < 2.
    """
    if rewards.dim() != 2 or rewards.shape[1] < 2:
        raise ValueError(f"rewards must have shape [groups, G >= 2], got {tuple(rewards.shape)}")
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    return centred / (rewards.std(dim=1, keepdim=True) + eps)
