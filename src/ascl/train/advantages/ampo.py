"""A mode-level term beside the sample-level one, after AMPO (arXiv 2505.02156)."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ascl import ranges
from ascl.train.advantages.algorithm import BaseAlgorithm
from ascl.train.advantages.group import check_group, group_std, mode_means
from ascl.train.advantages.grpo import grpo_advantages

if TYPE_CHECKING:
    from torch import Tensor


class Ampo(BaseAlgorithm):
    """A_i = A^S_i + mode_weight * A^M_{m_i}: GRPO's advantage plus how much better i's mode does than the other one.

        A^M_m = (mean_m R - (mean_tool R + mean_direct R) / 2) / (std_G R + eps)

    The modes are weighed equally, however many rollouts each has; a group of one mode has A^M = 0, and mode_weight 0 is
    GRPO. A reconstruction. Deviations: AMPO divides A^M by the standard deviation of the mode means, which for two
    modes leaves nothing but a sign, so the group's is taken; its preference for the shorter of two equal modes is left
    out.
    """

    type: Literal["ampo"] = "ampo"
    mode_weight: float = Field(default=1.0, ge=0, le=ranges.WEIGHT)

    def advantages(
        self, rewards: "Tensor", consulted: "Tensor", harmful: "Tensor", progress: float
    ) -> tuple["Tensor", "Tensor"]:
        """For all tokens alike. Raises ValueError for other shapes."""
        check_group(rewards, consulted)
        tool, direct = mode_means(rewards, consulted)
        half = (tool - direct) / 2 / (group_std(rewards) + self.eps)
        mode_term = (consulted * half - ~consulted * half).nan_to_num(nan=0.0)
        found = grpo_advantages(rewards, self.eps) + self.mode_weight * mode_term * ~rewards.isnan()
        return found, found
