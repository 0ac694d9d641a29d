"""GRPO's group-relative advantage (DeepSeekMath, arXiv 2402.03300, section 4.1)."""

from typing import TYPE_CHECKING, Literal

from ascl.train.advantages.algorithm import BaseAlgorithm
from ascl.train.advantages.group import check_group, group_mean, group_std

if TYPE_CHECKING:
    from torch import Tensor


class Grpo(BaseAlgorithm):
    """The group's mean as baseline, its standard deviation as scale (`grpo_advantages`)."""

    type: Literal["grpo"] = "grpo"

    def advantages(
        self, rewards: "Tensor", consulted: "Tensor", harmful: "Tensor", progress: float
    ) -> tuple["Tensor", "Tensor"]:
        """GRPO's, for all tokens."""
        found = grpo_advantages(rewards, self.eps)
        return found, found


def grpo_advantages(rewards: "Tensor", eps: float = 1e-4) -> "Tensor":
    """A_i = (R_i - mean_G R) / (std_G R + eps), over the last dimension.

    rewards: float [groups, G]; NaN marks a rollout that no judge could score: it is left out of mean and std, and its
    advantage is 0. Returns float [groups, G]. std is the unbiased one (n - 1) and eps 1e-4, as in TRL.
    Raises ValueError for another shape or G < 2.
    """
    check_group(rewards)
    return ((rewards - group_mean(rewards)) / (group_std(rewards) + eps)).nan_to_num(nan=0.0)
