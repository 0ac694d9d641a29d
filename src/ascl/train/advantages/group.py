"""What every algorithm does with a group of rollouts: check its shape, and take means over the scored ones."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def check_group(rewards: "torch.Tensor", consulted: "torch.Tensor | None" = None) -> None:
    """Raise ValueError unless rewards is float [groups, G >= 2] and consulted bool of the same shape."""
    import torch

    if rewards.dim() != 2 or rewards.shape[1] < 2 or not rewards.is_floating_point():
        raise ValueError(f"rewards must be float [groups, G >= 2], got {rewards.dtype} {tuple(rewards.shape)}")
    if consulted is not None and (consulted.dtype != torch.bool or consulted.shape != rewards.shape):
        raise ValueError(
            f"consulted must be bool {tuple(rewards.shape)}, got {consulted.dtype} {tuple(consulted.shape)}"
        )


def group_mean(rewards: "torch.Tensor") -> "torch.Tensor":
    """The mean of each group's scored rewards (NaN is an unscored one): float [groups, 1]."""
    return rewards.nanmean(dim=1, keepdim=True)


def group_std(rewards: "torch.Tensor") -> "torch.Tensor":
    """The unbiased standard deviation (n - 1) of each group's scored rewards, as in TRL: float [groups, 1].

    NaN where fewer than two are scored.
    """
    import torch

    variance = ((rewards - group_mean(rewards)) ** 2).nanmean(dim=1, keepdim=True)
    count = (~rewards.isnan()).sum(dim=1, keepdim=True)
    return torch.sqrt(variance * torch.where(count > 1, count / (count - 1), torch.nan))


def mode_means(rewards: "torch.Tensor", consulted: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    """The mean scored reward of the consulting and of the direct rollouts: float [groups, 1] each.

    NaN where a group has no scored rollout of that mode.
    """
    import torch

    missing = torch.full_like(rewards, torch.nan)
    return group_mean(torch.where(consulted, rewards, missing)), group_mean(torch.where(consulted, missing, rewards))
