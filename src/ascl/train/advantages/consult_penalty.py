"""GRPO with a price on consulting for prompts that need none: the ablation that fails in arXiv 2602.13562."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ascl import ranges
from ascl.train.advantages.algorithm import BaseAlgorithm
from ascl.train.advantages.group import check_group
from ascl.train.advantages.grpo import grpo_advantages

if TYPE_CHECKING:
    from torch import Tensor


class ConsultPenalty(BaseAlgorithm):
    """GRPO's advantage of R_i - penalty * [i consulted and its prompt is not a harmful one]; penalty 0 is GRPO.

    Divided by the group's standard deviation, a penalty of any size becomes the whole signal in a group whose rewards
    are otherwise equal: that is why a tenth is enough to end consulting there (docs/advantages.md).
    """

    needs = frozenset({"harmful"})

    type: Literal["consult_penalty"] = "consult_penalty"
    penalty: float = Field(default=0.1, ge=0, le=ranges.WEIGHT)

    def advantages(
        self, rewards: "Tensor", consulted: "Tensor", harmful: "Tensor", progress: float
    ) -> tuple["Tensor", "Tensor"]:
        """For all tokens alike; harmful may be [groups, 1]. Raises ValueError for other shapes."""
        import torch

        check_group(rewards, consulted)
        groups, size = rewards.shape
        if harmful.dtype != torch.bool or harmful.shape not in ((groups, 1), (groups, size)):
            raise ValueError(
                f"harmful must be bool [{groups}, 1 or {size}], got {harmful.dtype} {tuple(harmful.shape)}"
            )
        found = grpo_advantages(rewards - self.penalty * (consulted & ~harmful), self.eps)
        return found, found
