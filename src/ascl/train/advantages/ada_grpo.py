"""Ada-GRPO of ARM: rewards scaled by how rare their mode is, less and less over training (arXiv 2505.20258)."""

import math
from typing import TYPE_CHECKING, Literal

from ascl.train.advantages.algorithm import BaseAlgorithm
from ascl.train.advantages.group import check_group
from ascl.train.advantages.grpo import grpo_advantages

if TYPE_CHECKING:
    from torch import Tensor


class AdaGrpo(BaseAlgorithm):
    """GRPO's advantage of the scaled rewards r'_i = alpha_i(t) r_i (arXiv 2505.20258, section on Ada-GRPO).

        alpha_i(t) = G / F(o_i) * decay_i(t)
        decay_i(t) = F(o_i)/G + 0.5 * (1 - F(o_i)/G) * (1 + cos(pi t / T))

    F(o_i) is the number of rollouts of i's mode in its group, progress = t / T in [0, 1]. At progress 1 alpha is 1:
    GRPO. The scale multiplies the reward itself, not its difference from the mean: with equal rewards the rare mode
    still gets a positive advantage, and the two modes are driven towards one half each (docs/advantages.md).
    Deviation: two modes (consult, direct) where the paper has four formats.
    """

    needs = frozenset({"progress"})

    type: Literal["ada_grpo"] = "ada_grpo"

    def advantages(
        self, rewards: "Tensor", consulted: "Tensor", harmful: "Tensor", progress: float
    ) -> tuple["Tensor", "Tensor"]:
        """For all tokens alike. Raises ValueError for other shapes or a progress outside [0, 1]."""
        check_group(rewards, consulted)
        if not 0 <= progress <= 1:
            raise ValueError(f"progress must lie in [0, 1], got {progress}")
        size = rewards.shape[1]
        tool = consulted.sum(dim=1, keepdim=True)
        share = consulted * (tool / size) + ~consulted * (1 - tool / size)
        decay = share + 0.5 * (1 - share) * (1 + math.cos(math.pi * progress))
        found = grpo_advantages(rewards * decay / share, self.eps)
        return found, found
