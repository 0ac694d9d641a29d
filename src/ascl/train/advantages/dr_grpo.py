"""Dr. GRPO: GRPO without the division by the group's standard deviation (arXiv 2503.20783, section 3.2)."""

from typing import TYPE_CHECKING, Literal

from ascl.train.advantages.algorithm import BaseAlgorithm
from ascl.train.advantages.group import check_group, group_mean

if TYPE_CHECKING:
    from torch import Tensor


class DrGrpo(BaseAlgorithm):
    """A_i = R_i - mean_G R: a group whose rewards hardly differ is not blown up to the size of one that matters.

    In units of the reward: the learning rate has to fit them. Deviation: the paper's other change, dividing the loss by
    a constant length, is not needed here: the token-mean loss used throughout weighs every token of a batch alike.
    """

    type: Literal["dr_grpo"] = "dr_grpo"

    def advantages(
        self, rewards: "Tensor", consulted: "Tensor", harmful: "Tensor", progress: float
    ) -> tuple["Tensor", "Tensor"]:
        """For all tokens alike; 0 where unscored. Raises ValueError for rewards of another shape."""
        check_group(rewards)
        found = (rewards - group_mean(rewards)).nan_to_num(nan=0.0)
        return found, found
