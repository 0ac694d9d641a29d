"""What every algorithm has: its settings, how it explores, and one method. The contract: `advantages/__init__.py`."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from ascl import ranges
from ascl.train.exploration import Exploration

if TYPE_CHECKING:
    from torch import Tensor

Need = Literal["harmful", "progress", "decision_tokens"]


class BaseAlgorithm(BaseModel):
    """The settings that all algorithms share.

    type: the algorithm's name; of a class of your own its import path, `package.module:ClassName`. exploration,
    candidates: how its groups are sampled (`train/exploration.py`). eps: what is added to a group's standard deviation
    where it divides by one; 1e-4 as in TRL.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    needs: ClassVar[frozenset[Need]] = frozenset()

    type: str
    exploration: Exploration = "none"
    candidates: int = Field(default=4, ge=2, le=ranges.ANSWERS)
    eps: float = Field(default=1e-4, gt=0, le=ranges.WEIGHT)

    @property
    def name(self) -> str:
        """What files and tables call it."""
        return self.type.rpartition(":")[2]

    def advantages(
        self, rewards: "Tensor", consulted: "Tensor", harmful: "Tensor", progress: float
    ) -> tuple["Tensor", "Tensor"]:
        """The advantages of each rollout's decision tokens and of its other tokens: float [groups, G] each."""
        raise NotImplementedError

    def weights(self, consulted: "Tensor") -> "Tensor":
        """How much it weighs a rollout by its mode alone, float32 [groups, G]: for the log, 1 unless it says more."""
        import torch

        return torch.ones_like(consulted, dtype=torch.float32)
