"""TRL's vLLM engine as a client of the rollout loop: in the training processes (colocate) or as a server."""

from dataclasses import dataclass
from typing import Any

from accelerate.utils import gather_object

from ascl.chat.messages import Trajectory
from ascl.chat.turn import Turn
from ascl.consult.rollout import MAX_TURNS
from ascl.models.in_process import InProcessClient
from ascl.models.sampling import Sampling


@dataclass
class VllmClient(InProcessClient):
    """Samples through TRL's `VLLMGeneration`, which holds the training's temperature and budget and syncs weights.

    model: the `VLLMGeneration`. Every process of a training must ask equally often, so each calls `keep_in_step` after
    its rollouts. vLLM's own randomness takes the place of `sampling.seed`: runs with it are not reproducible to the
    token. The log-probabilities vLLM sampled with are kept for TRL's importance weights.
    """

    calls: int = 0

    def complete(self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling) -> list[Turn]:
        """Sample one turn for each trajectory; see `InProcessClient.complete`."""
        before = [len(trajectory.completion_ids) for trajectory in trajectories]
        turns = super().complete(trajectories, tools, sampling)
        for trajectory, length, own in zip(trajectories, before, self._sampled_with, strict=True):
            given = len(trajectory.completion_ids) - length - len(own)
            trajectory.logprobs += [0.0] * given + own
        return turns

    def keep_in_step(self) -> None:
        """Take part in the generations that other processes still need."""
        while self.calls < MAX_TURNS:
            self._generate([], Sampling())

    def _generate(self, contexts: list[list[int]], sampling: Sampling) -> list[list[int]]:
        self.calls += 1
        most = max(gather_object([len(contexts)]))
        self._sampled_with: list[list[float]] = []
        if most == 0:
            return []
        # TRL cuts the answers of all processes into equal parts, so every process asks for as many.
        padded = contexts + [self.renderer.end_ids[:1]] * (most - len(contexts))
        _, completions, logprobs, _ = self.model.generate(prompts=padded, images=None, num_generations=1)
        self._sampled_with = [[token[0] for token in row] for row in logprobs[: len(contexts)]]
        return [list(ids) for ids in completions[: len(contexts)]]
