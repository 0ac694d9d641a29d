"""A transformers model in this process, sampled in batches, with exact token bookkeeping for training."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ascl.chat.clients.sampling import Sampling
from ascl.chat.messages import Trajectory
from ascl.chat.render import Renderer
from ascl.chat.turn import Turn

if TYPE_CHECKING:
    import torch


@dataclass
class InProcessClient:
    """Generates with a model held in memory (base, LoRA-wrapped or in training)."""

    model: Any
    renderer: Renderer

    def complete(self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling) -> list[Turn]:
        """Sample one turn for each trajectory, in one padded batch.

        The trajectory's ids grow by the template's ids (mask 0) and the sampled ids (mask 1). A turn that the budget
        cut gets no end-of-turn token: it is its own outcome. The result depends on the batch, the weights and
        `sampling.seed` only.
        """
        contexts = [self._context(trajectory, tools) for trajectory in trajectories]
        turns = []
        for trajectory, ids in zip(trajectories, self._generate(contexts, sampling), strict=True):
            trajectory.completion_ids += ids
            trajectory.completion_mask += [1] * len(ids)
            text, ended = self.renderer.parse_ids(ids)
            turn = self.renderer.dialect.parse(text, ended)
            turn.tokens = len(ids)
            turns.append(turn)
        return turns

    def _context(self, trajectory: Trajectory, tools: list[dict[str, Any]]) -> list[int]:
        if not trajectory.prompt_ids:
            trajectory.prompt_ids = self.renderer.prompt_ids(trajectory.messages, tools)
        else:
            suffix = self.renderer.suffix_ids(trajectory.messages, tools)
            trajectory.completion_ids += suffix
            trajectory.completion_mask += [0] * len(suffix)
        return trajectory.prompt_ids + trajectory.completion_ids

    def _generate(self, contexts: list[list[int]], sampling: Sampling) -> list[list[int]]:
        import torch
        from transformers import GenerationConfig

        tokenizer = self.renderer.tokenizer
        end = tokenizer.convert_tokens_to_ids(self.renderer.dialect.end_of_turn)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else end
        width = max(map(len, contexts))
        device = self.model.device
        ids = torch.tensor([[pad] * (width - len(c)) + c for c in contexts], device=device)
        mask = torch.tensor([[0] * (width - len(c)) + [1] * len(c) for c in contexts], device=device)
        config = GenerationConfig(
            max_new_tokens=sampling.max_tokens,
            do_sample=sampling.temperature > 0,
            temperature=sampling.temperature or None,
            top_p=sampling.top_p if sampling.temperature > 0 else None,
            top_k=0 if sampling.temperature > 0 else None,
            eos_token_id=end,
            pad_token_id=pad,
        )
        training = self.model.training
        self.model.eval()
        devices = [device] if device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(sampling.seed)
            output = self.model.generate(ids, attention_mask=mask, generation_config=config)
        self.model.train(training)
        return [_cut(row, end) for row in output[:, width:]]


def _cut(row: "torch.Tensor", end: int) -> list[int]:
    """A generated row up to and including the first end-of-turn token (what follows is padding)."""
    ids = row.tolist()
    return ids[: ids.index(end) + 1] if end in ids else ids
