"""How a client samples, and what every client offers."""

from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ascl import ranges
from ascl.chat.messages import Trajectory
from ascl.chat.turn import Turn


class Sampling(BaseModel):
    """Sampling parameters. temperature 0 is greedy; max_tokens bounds one model turn."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    temperature: float = Field(default=0.0, ge=0, le=ranges.TEMPERATURE)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=512, ge=1, le=ranges.TOKENS)
    seed: int = Field(default=0, ge=0, le=ranges.SEED)


class Client(Protocol):
    """A model that can speak the next turn of a batch of trajectories."""

    def complete(self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling) -> list[Turn]:
        """The next turn of each trajectory. In-process clients also append the ids to the trajectory."""
        ...
