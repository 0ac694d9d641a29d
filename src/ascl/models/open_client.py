"""A client for a model named by the user: behind a server where a base URL is given, else in this process."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ascl.chat.messages import Trajectory
from ascl.chat.turn import Turn
from ascl.models.openai_server import OpenAIClient
from ascl.models.sampling import Client, Sampling


@dataclass
class LocalClient:
    """`embedded`, a hub id or a folder, loaded when it is first asked: a finished stage asks nothing."""

    model: str
    dialect: str | None = None
    dtype: str = "auto"

    @cached_property
    def _client(self) -> Client:
        from ascl.models.in_process import InProcessClient
        from ascl.models.models import load_model, load_renderer

        return InProcessClient(load_model(self.model, self.dtype), load_renderer(self.model, self.dialect))

    def complete(self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling) -> list[Turn]:
        """See `InProcessClient`."""
        return self._client.complete(trajectories, tools, sampling)


def open_client(
    model: str, base_url: str | None, concurrency: int = 16, dialect: str | None = None, dtype: str = "auto"
) -> Client:
    """The client of a model; nothing is loaded or asked yet. dialect, dtype: of a model in this process."""
    return OpenAIClient(model, base_url, concurrency) if base_url else LocalClient(model, dialect, dtype)
