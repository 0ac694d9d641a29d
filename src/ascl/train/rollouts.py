"""TRL's `rollout_func`: every prompt of a generation batch walked through the rollout loop, by whichever engine."""

from contextlib import nullcontext
from typing import Any

from trl import GRPOTrainer

from ascl.chat.messages import Message, Trajectory, message_of
from ascl.chat.render import Renderer
from ascl.consult.rollout import advance, rollout, start
from ascl.consult.tool import ConsultTool
from ascl.models.in_process import InProcessClient
from ascl.models.sampling import Client, Sampling
from ascl.rules.edit import BookEdit
from ascl.train.advantages import BaseAlgorithm
from ascl.train.exploration import first_of, wanted_mode
from ascl.train.settings import RlSettings
from ascl.train.vllm import VllmClient

BOOK = "book"  # the key of a prompt's last message that holds its edit of the rule book


def _book(message: dict[str, Any]) -> BookEdit | None:
    edit = message.get(BOOK)
    return None if edit is None else BookEdit.model_validate_json(edit)


class Rollouts:
    """Samples the rollouts of a generation batch, explored as the algorithm says.

    Sampling seeds depend on the run's seed, the optimiser step and the process only, so a resumed run samples what an
    uninterrupted one would have.
    """

    def __init__(
        self, renderer: Renderer, tool: ConsultTool, settings: RlSettings, seed: int, algorithm: BaseAlgorithm
    ) -> None:
        self.renderer, self.tool, self.settings, self.seed = renderer, tool, settings, seed
        self.algorithm = algorithm

    def __call__(self, prompts: list[list[dict[str, Any]]], trainer: GRPOTrainer) -> dict[str, Any]:
        """The ids, the mask of model tokens (`env_mask`), the trajectory and the candidates of each prompt's rollout.

        `candidates` counts the first turns that were sampled for the rollout's place, as [consulting, all], and says
        whether the one that was taken consults.
        """
        step, process = trainer.state.global_step, trainer.accelerator.process_index
        sampling = Sampling(
            temperature=self.settings.temperature,
            max_tokens=self.settings.max_tokens,
            seed=(self.seed * 1_000_003 + step * 10_007 + process * 101) % 2**31,
        )
        client: Client
        if trainer.use_vllm:
            client = VllmClient(trainer.vllm_generation, self.renderer)
        else:
            client = InProcessClient(trainer.accelerator.unwrap_model(trainer.model), self.renderer)
        books = [_book(prompt[-1]) for prompt in prompts]
        messages = [[message_of({k: v for k, v in m.items() if k != BOOK}) for m in prompt] for prompt in prompts]
        # accelerate opens autocast again in every forward pass, which then casts all weights; an outer one keeps them.
        with nullcontext() if trainer.use_vllm else trainer.accelerator.autocast():
            if self.algorithm.exploration == "none":
                trajectories = [start("", asked, book=book) for asked, book in zip(messages, books, strict=True)]
                candidates = [[0, 0, 0]] * len(trajectories)
            else:
                trajectories, candidates = self._explored(client, messages, books, process * len(prompts), sampling)
                sampling = sampling.model_copy(update={"seed": sampling.seed + 1})
            rollout(client, [t for t in trajectories if t.stop is None], self.tool, sampling)
        if isinstance(client, VllmClient):
            client.keep_in_step()
        return {
            "prompt_ids": [t.prompt_ids for t in trajectories],
            "completion_ids": [t.completion_ids for t in trajectories],
            "env_mask": [t.completion_mask for t in trajectories],
            "logprobs": [t.logprobs for t in trajectories] if trainer.use_vllm else None,
            "trajectory": trajectories,
            "candidates": candidates,
        }

    def _explored(
        self,
        client: Client,
        messages: list[list[Message]],
        books: list[BookEdit | None],
        first: int,
        sampling: Sampling,
    ) -> tuple[list[Trajectory], list[list[int]]]:
        """One trajectory for each place, its first turn taken from several where the place wants a mode."""
        places = ((first + i) % self.settings.group_size for i in range(len(messages)))
        wanted = [wanted_mode(self.algorithm.exploration, place) for place in places]
        counts = [1 if mode is None else self.algorithm.candidates for mode in wanted]
        owners = [i for i, count in enumerate(counts) for _ in range(count)]
        sampled = [start("", messages[i], book=books[i]) for i in owners]
        for trajectory, turn in zip(sampled, client.complete(sampled, [self.tool.schema], sampling), strict=True):
            advance(trajectory, turn, self.tool)
        chosen, candidates = [], []
        for i, mode in enumerate(wanted):
            mine = [trajectory for trajectory, owner in zip(sampled, owners, strict=True) if owner == i]
            modes = [trajectory.consulted for trajectory in mine]
            taken = first_of(modes, mode)
            chosen.append(mine[taken])
            candidates.append([sum(modes), len(modes), int(modes[taken])])
        return chosen, candidates
