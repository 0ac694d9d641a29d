"""IFPO: GRPO advantages rebalanced by how rare a rollout's mode is in its group (arXiv 2602.13562)."""

from typing import TYPE_CHECKING

from ascl.train.advantages.group import check_group
from ascl.train.advantages.grpo import grpo_advantages

if TYPE_CHECKING:
    import torch


def ifpo_advantages(
    rewards: "torch.Tensor",
    consulted: "torch.Tensor",
    tau: float = 0.5,
    w_min: float = 0.25,
    w_max: float = 4.0,
    eps: float = 1e-4,
) -> "torch.Tensor":
    """A_i = w_i * (R_i - mean_G R) / (std_G R + eps), with the weights of `ifpo_weights`; tau = 0 is GRPO.

    rewards: float [groups, G], NaN unscored (advantage 0; its mode counts). consulted: bool [groups, G].
    Returns float [groups, G]. Raises ValueError for other shapes or values.
    """
    check_group(rewards, consulted)
    return grpo_advantages(rewards, eps) * ifpo_weights(consulted, tau, w_min, w_max)


def ifpo_weights(
    consulted: "torch.Tensor", tau: float = 0.5, w_min: float = 0.25, w_max: float = 4.0
) -> "torch.Tensor":
    """The weight of each rollout's advantage.

        w_i = clip( (G / N_{m_i})^tau / mean_j (G / N_{m_j})^tau , w_min, w_max )

    where m_i is rollout i's mode (consulted or direct) and N_m the number of rollouts of mode m in the group of G.
    The IFPO advantage is w_i * (R_i - mean_G R) / (std_G R + eps).

    consulted: bool [groups, G]. Returns float32 [groups, G], dimensionless and positive, so that no advantage changes
    its sign; before clipping the mean over a group is 1; tau = 0 or a group of one mode gives 1 (GRPO).
    The paper does not say w_min and w_max; ours bind only beyond a 7:1 group at tau = 1.
    Raises ValueError for another shape or type, tau < 0 or not finite, or limits that are not 0 < w_min <= w_max.
    """
    import math

    import torch

    if consulted.dim() != 2 or consulted.dtype != torch.bool or consulted.shape[1] < 1:
        raise ValueError(f"consulted must be bool [groups, G], got {consulted.dtype} {tuple(consulted.shape)}")
    if not 0 <= tau < math.inf or not 0 < w_min <= w_max:
        raise ValueError(f"need tau >= 0 and 0 < w_min <= w_max, got tau={tau}, w_min={w_min}, w_max={w_max}")
    size = consulted.shape[1]
    tool = consulted.sum(dim=1, keepdim=True)
    count = torch.where(consulted, tool, size - tool).to(torch.float32)
    rarity = (count.amin(dim=1, keepdim=True) / count) ** tau  # the mean cancels G; no tau overflows this way
    return (rarity / rarity.mean(dim=1, keepdim=True)).clamp(w_min, w_max)
