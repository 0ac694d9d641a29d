"""A transformers model in this process, sampled in batches, with exact token bookkeeping for training."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ascl.chat.messages import Trajectory
from ascl.chat.render import Renderer
from ascl.chat.turn import Turn
from ascl.models.sampling import Sampling

if TYPE_CHECKING:
    import torch


@dataclass
class InProcessClient:
    """Generates with a model held in memory (base, LoRA-wrapped or in training)."""

    model: Any
    renderer: Renderer

    def complete(self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling) -> list[Turn]:
        """Sample one turn for each trajectory, in one padded batch.

        The trajectory's ids grow by the template's and the prefill's ids (mask 0) and the sampled ids (mask 1). A turn
        that the budget cut gets no end-of-turn token: it is its own outcome. The result depends on the batch, the
        weights and `sampling.seed` only.
        """
        contexts = [self._context(trajectory, tools) for trajectory in trajectories]
        turns = []
        for trajectory, ids in zip(trajectories, self._generate(contexts, sampling), strict=True):
            trajectory.completion_ids += ids
            trajectory.completion_mask += [1] * len(ids)
            text, ended = self.renderer.parse_ids(ids)
            begun = self.renderer.opening_text(trajectory.opening) if trajectory.opening else ""
            turn = self.renderer.dialect.parse(begun + text, ended)
            turn.tokens = len(ids)
            turns.append(turn)
        return turns

    def _context(self, trajectory: Trajectory, tools: list[dict[str, Any]]) -> list[int]:
        if not trajectory.prompt_ids:
            trajectory.prompt_ids = self.renderer.prompt_ids(trajectory.messages, tools)
            given = self.renderer.opening_ids(trajectory.prefill) if trajectory.prefill else []
        else:
            given = self.renderer.suffix_ids(trajectory.messages, tools)
        trajectory.completion_ids += given
        trajectory.completion_mask += [0] * len(given)
        return trajectory.prompt_ids + trajectory.completion_ids

    def _generate(self, contexts: list[list[int]], sampling: Sampling) -> list[list[int]]:
        import torch

        device = self.model.device
        devices = [device] if device.type == "cuda" else []
        training = self.model.training
        self.model.eval()
        # A prompt's last position is a strided slice; torch on a CPU would copy the head once per row to project it.
        hook = self.model.get_output_embeddings().register_forward_pre_hook(lambda _, args: (args[0].contiguous(),))
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=devices):
                torch.manual_seed(sampling.seed)
                return _decode(self.model, contexts, self.renderer.end_ids, sampling)
        finally:
            hook.remove()
            self.model.train(training)


def _decode(model: Any, contexts: list[list[int]], ends: list[int], sampling: Sampling) -> list[list[int]]:
    """Sample every context on until one of `ends` (kept in the result) or the budget.

    The contexts share one cache (`reading.read`). Rows that have ended are dropped from it once they are a quarter of
    the batch: the longest answer of a batch does not make all others pay for its length.
    """
    import torch

    from ascl.models.reading import read

    sampled: list[list[int]] = [[] for _ in contexts]
    rows = list(range(len(contexts)))  # which context each row of the cache belongs to
    scores, cache, mask = read(model, contexts, filler=ends[0])
    for place in range(sampling.max_tokens):
        drawn = _draw(scores, sampling)
        for row, token in zip(rows, drawn.tolist(), strict=True):
            if not sampled[row] or sampled[row][-1] not in ends:
                sampled[row].append(token)
        going = [i for i, row in enumerate(rows) if sampled[row][-1] not in ends]
        if not going or place == sampling.max_tokens - 1:
            break
        if len(going) <= 0.75 * len(rows):
            kept = torch.tensor(going, device=model.device)
            cache.batch_select_indices(kept)
            drawn, mask = drawn[kept], mask[kept]
            rows = [rows[i] for i in going]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=-1)
        scores = model(
            input_ids=drawn[:, None],
            attention_mask=mask,
            position_ids=mask.sum(dim=-1, keepdim=True) - 1,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
    return sampled


def _draw(scores: "torch.Tensor", sampling: Sampling) -> "torch.Tensor":
    """The next token of each row: greedy at temperature 0, else drawn from the top-p part of the softmax.

    scores: logits [B, V]; returns token ids [B]. One uniform number a row, looked up in the cumulative distribution:
    the same distribution as torch.multinomial, which draws one number per vocabulary entry (slow on a CPU,
    benchmarks/generation.py).
    """
    import torch

    if sampling.temperature == 0:
        return scores.argmax(dim=-1)
    probabilities = torch.softmax(scores.float() / sampling.temperature, dim=-1)
    order = None
    if sampling.top_p < 1:
        probabilities, order = _descending(probabilities, sampling.top_p)
        before = probabilities.cumsum(dim=-1) - probabilities
        probabilities = probabilities.masked_fill(before >= sampling.top_p, 0.0)
    cumulative = probabilities.cumsum(dim=-1)
    point = torch.rand(len(scores), 1, device=scores.device) * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, point, right=True).clamp(max=probabilities.shape[-1] - 1)
    return (drawn if order is None else order.gather(-1, drawn))[:, 0]


def _descending(probabilities: "torch.Tensor", top_p: float) -> tuple["torch.Tensor", "torch.Tensor"]:
    """The most probable entries of each row, sorted, and where they stood: enough of them to hold top_p everywhere.

    A few hundred nearly always do; sorting the whole vocabulary is the last resort.
    """
    few = min(512, probabilities.shape[-1])
    values, order = probabilities.topk(few, dim=-1)
    if few < probabilities.shape[-1] and bool((values.sum(dim=-1) < top_p).any()):
        return probabilities.sort(dim=-1, descending=True)
    return values, order
