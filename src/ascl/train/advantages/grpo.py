"""GRPO's group-relative advantage (DeepSeekMath, arXiv 2402.03300, section 4.1)."""

from typing import TYPE_CHECKING

from ascl.train.advantages.group import check_group, group_mean, group_std

if TYPE_CHECKING:
    import torch


def grpo_advantages(rewards: "torch.Tensor", eps: float = 1e-4) -> "torch.Tensor":
    """A_i = (R_i - mean_G R) / (std_G R + eps), over the last dimension.

    rewards: float [groups, G]; NaN marks a rollout that no judge could score: it is left out of mean and std, and its
    advantage is 0. Returns float [groups, G]. std is the unbiased one (n - 1) and eps 1e-4, as in TRL.
    Raises ValueError for another shape or G < 2.
    """
    check_group(rewards)
    return ((rewards - group_mean(rewards)) / (group_std(rewards) + eps)).nan_to_num(nan=0.0)
