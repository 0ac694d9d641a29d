"""Dr. GRPO: GRPO without the division by the group's standard deviation (arXiv 2503.20783, section 3.2)."""

from typing import TYPE_CHECKING

from ascl.train.advantages.group import check_group, group_mean

if TYPE_CHECKING:
    import torch


def dr_grpo_advantages(rewards: "torch.Tensor") -> "torch.Tensor":
    """A_i = R_i - mean_G R: a group whose rewards hardly differ is not blown up to the size of one that matters.

    rewards: float [groups, G], NaN unscored (advantage 0). Returns float [groups, G], in units of the reward: the
    learning rate has to fit them. Raises ValueError for another shape or G < 2.

    Deviation: the paper's other change, dividing the loss by a constant length, is not needed here: the token-mean loss
    used throughout weighs every token of a batch alike.
    """
    check_group(rewards)
    return (rewards - group_mean(rewards)).nan_to_num(nan=0.0)
