"""A mode-level term beside the sample-level one, after AMPO (arXiv 2505.02156)."""

from typing import TYPE_CHECKING

from ascl.train.advantages.group import check_group, group_std, mode_means
from ascl.train.advantages.grpo import grpo_advantages

if TYPE_CHECKING:
    import torch


def ampo_advantages(
    rewards: "torch.Tensor", consulted: "torch.Tensor", mode_weight: float = 1.0, eps: float = 1e-4
) -> "torch.Tensor":
    """A_i = A^S_i + mode_weight * A^M_{m_i}: GRPO's advantage plus how much better i's mode does than the other one.

        A^M_m = (mean_m R - (mean_tool R + mean_direct R) / 2) / (std_G R + eps)

    The modes are weighed equally, however many rollouts each has; a group of one mode has A^M = 0, and mode_weight 0 is
    GRPO. rewards: float [groups, G], NaN unscored. consulted: bool [groups, G]. Returns float [groups, G].
    Raises ValueError for other shapes.

    A reconstruction. Deviations: AMPO divides A^M by the standard deviation of the mode means, which for two modes
    leaves nothing but a sign, so the group's is taken; its preference for the shorter of two equal modes is left out.
    """
    check_group(rewards, consulted)
    tool, direct = mode_means(rewards, consulted)
    half = (tool - direct) / 2 / (group_std(rewards) + eps)
    mode_term = (consulted * half - ~consulted * half).nan_to_num(nan=0.0)
    return grpo_advantages(rewards, eps) + mode_weight * mode_term * ~rewards.isnan()
