"""IFPO: GRPO advantages rebalanced by how rare a rollout's mode is in its group (arXiv 2602.13562)."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ascl import ranges
from ascl.train.advantages.algorithm import BaseAlgorithm
from ascl.train.advantages.group import check_group
from ascl.train.advantages.grpo import grpo_advantages

if TYPE_CHECKING:
    from torch import Tensor


class Ifpo(BaseAlgorithm):
    """A_i = w_i * (R_i - mean_G R) / (std_G R + eps), with

        w_i = clip( (G / N_{m_i})^tau / mean_j (G / N_{m_j})^tau , w_min, w_max )

    where m_i is rollout i's mode (consulted or direct) and N_m the number of rollouts of mode m in the group of G.
    tau = 0 or a group of one mode is GRPO. An unscored rollout counts as a member of its mode.
    The paper does not say w_min and w_max; ours bind only beyond a 7:1 group at tau = 1.
    """

    type: Literal["ifpo"] = "ifpo"
    tau: float = Field(default=0.5, ge=0, le=ranges.WEIGHT)
    w_min: float = Field(default=0.25, gt=0, le=ranges.WEIGHT)
    w_max: float = Field(default=4.0, gt=0, le=ranges.WEIGHT)

    @model_validator(mode="after")
    def _check(self) -> "Ifpo":
        if self.w_min > self.w_max:
            raise ValueError("w_min must not exceed w_max")
        return self

    def advantages(
        self, rewards: "Tensor", consulted: "Tensor", harmful: "Tensor", progress: float
    ) -> tuple["Tensor", "Tensor"]:
        """For all tokens alike. Raises ValueError for other shapes."""
        check_group(rewards, consulted)
        found = grpo_advantages(rewards, self.eps) * self.weights(consulted)
        return found, found

    def weights(self, consulted: "Tensor") -> "Tensor":
        """The weight w_i of each rollout's advantage.

        consulted: bool [groups, G]. Returns float32 [groups, G], dimensionless and positive, so that no advantage
        changes its sign; before clipping the mean over a group is 1. Raises ValueError for another shape or type.
        """
        import torch

        if consulted.dim() != 2 or consulted.dtype != torch.bool or consulted.shape[1] < 1:
            raise ValueError(f"consulted must be bool [groups, G], got {consulted.dtype} {tuple(consulted.shape)}")
        size = consulted.shape[1]
        tool = consulted.sum(dim=1, keepdim=True)
        count = torch.where(consulted, tool, size - tool).to(torch.float32)
        rarity = (count.amin(dim=1, keepdim=True) / count) ** self.tau  # the mean cancels G; no tau overflows this way
        return (rarity / rarity.mean(dim=1, keepdim=True)).clamp(self.w_min, self.w_max)
