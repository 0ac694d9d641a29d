"""AdaptThink (arXiv 2505.13417) with the modes consult and direct: half of each group is sampled in each mode."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ascl import ranges
from ascl.train.advantages.algorithm import BaseAlgorithm
from ascl.train.advantages.group import check_group
from ascl.train.advantages.grpo import grpo_advantages
from ascl.train.exploration import Exploration

if TYPE_CHECKING:
    from torch import Tensor


class AdaptThink(BaseAlgorithm):
    """GRPO's advantage of R_i + delta * [i answered directly], on groups sampled half in each mode.

    The halves come from `train/exploration.py`, and the trainer corrects the old log-probabilities; without them and
    with delta 0 this is GRPO.

    Deviations: the baseline is the group's mean, not a reference model's (which would have to be sampled as well), and
    the result is divided by the group's standard deviation like all others here. delta is the paper's bonus for the
    cheap mode; it is 0 here because consulting is not a cost in the reward.
    """

    type: Literal["adaptthink"] = "adaptthink"
    exploration: Exploration = "half"
    delta: float = Field(default=0.0, ge=0, le=ranges.WEIGHT)

    def advantages(
        self, rewards: "Tensor", consulted: "Tensor", harmful: "Tensor", progress: float
    ) -> tuple["Tensor", "Tensor"]:
        """For all tokens alike. Raises ValueError for other shapes."""
        check_group(rewards, consulted)
        found = grpo_advantages(rewards + self.delta * ~consulted, self.eps)
        return found, found
