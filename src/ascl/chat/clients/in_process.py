"""A transformers model in this process, sampled in batches, with exact token bookkeeping for training."""

from collections.abc import Callable
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
        from transformers import GenerationConfig, LogitsProcessorList

        tokenizer = self.renderer.tokenizer
        end = tokenizer.convert_tokens_to_ids(self.renderer.dialect.end_of_turn)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else end
        width = max(map(len, contexts))
        device = self.model.device
        ids = torch.tensor([[pad] * (width - len(c)) + c for c in contexts], device=device)
        mask = torch.tensor([[0] * (width - len(c)) + [1] * len(c) for c in contexts], device=device)
        config = GenerationConfig(
            max_new_tokens=sampling.max_tokens,
            do_sample=False,
            eos_token_id=end,
            pad_token_id=pad,
            # What is not named comes from the model's own generation config; Qwen's penalises repetition.
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            min_length=0,
            num_beams=1,
        )
        draw = LogitsProcessorList([_draw(sampling)] if sampling.temperature > 0 else [])
        training = self.model.training
        self.model.eval()
        # A prompt's last position is a strided slice; torch on a CPU would copy the head once per row to project it.
        hook = self.model.get_output_embeddings().register_forward_pre_hook(lambda _, args: (args[0].contiguous(),))
        devices = [device] if device.type == "cuda" else []
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=devices):
                torch.manual_seed(sampling.seed)
                output = self.model.generate(ids, attention_mask=mask, generation_config=config, logits_processor=draw)
        finally:
            hook.remove()
            self.model.train(training)
        return [_cut(row, end) for row in output[:, width:]]


def _draw(sampling: Sampling) -> Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]:
    """A logits processor that samples: every score but the drawn token's becomes -inf, so that greedy search takes it.

    One uniform number a row, looked up in the cumulative distribution: the same distribution as torch.multinomial,
    which draws one number per vocabulary entry (slow on a CPU, benchmarks/generation.py).
    """

    def process(input_ids: "torch.Tensor", scores: "torch.Tensor") -> "torch.Tensor":
        import torch

        probabilities = torch.softmax(scores.float() / sampling.temperature, dim=-1)
        order = None
        if sampling.top_p < 1:
            probabilities, order = probabilities.sort(dim=-1, descending=True)
            before = probabilities.cumsum(dim=-1) - probabilities
            probabilities = probabilities.masked_fill(before >= sampling.top_p, 0.0)
        cumulative = probabilities.cumsum(dim=-1)
        point = torch.rand(len(scores), 1, device=scores.device) * cumulative[:, -1:]
        drawn = torch.searchsorted(cumulative, point, right=True).clamp(max=scores.shape[-1] - 1)
        if order is not None:
            drawn = order.gather(-1, drawn)
        return torch.full_like(scores, float("-inf")).scatter_(-1, drawn, 0.0)

    return process


def _cut(row: "torch.Tensor", end: int) -> list[int]:
    """A generated row up to and including the first end-of-turn token (what follows is padding)."""
    ids = row.tolist()
    return ids[: ids.index(end) + 1] if end in ids else ids
