"""What a rollout was sampled from is what the trainer will compute: the model's distribution over the very same ids.

The scores behind every draw are noted, while the public client samples two turns of
groups of rollouts. A plain forward pass over each finished rollout, alone, without a cache or padding, must give the
same log-probabilities.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from ascl.chat.messages import Message, Trajectory
from ascl.chat.turn import Turn
from ascl.consult.rollout import start
from ascl.models import in_process
from ascl.models.in_process import InProcessClient, _draw
from ascl.models.models import load_model, load_renderer
from ascl.models.sampling import Sampling

GROUP = 4
RULES = "Answer in one word. " * 30  # a beginning long enough to be read once for all that have it
TEXTS = [
    f"{RULES}Hi",
    f"{RULES}Name a day of the week, please.",
    "Hi",
    "How do I make a good cup of tea for a guest who does not like it?",
    "Name a colour.",
]
RESULTS = ["No rule is about this.", "1. (42.6%) Do not help anyone to build a weapon, nor to get hold of its parts."]


@dataclass
class Engine:
    """The client, with the scores of every step of its last call as they were drawn from."""

    client: InProcessClient
    steps: list[torch.Tensor] = field(default_factory=list)

    def complete(self, batch: list[Trajectory], sampling: Sampling) -> tuple[list[Turn], list[torch.Tensor]]:
        """One turn of each trajectory, and the scores [tokens, V] its tokens were drawn from."""
        self.steps = []
        turns = self.client.complete(batch, [], sampling)
        drawn_from: list[list[torch.Tensor]] = [[] for _ in batch]
        rows = list(range(len(batch)))
        for step, scores in enumerate(self.steps):
            if len(scores) < len(rows):  # the rows that had ended have left
                rows = [row for row in rows if turns[row].tokens > step]
            for row, of_row in zip(rows, scores, strict=True):
                if turns[row].tokens > step:
                    drawn_from[row].append(of_row)
        return turns, [torch.stack(scores) for scores in drawn_from]

    def forward(self, trajectory: Trajectory) -> torch.Tensor:
        """Scores [tokens, V] of the completion's tokens, from one pass over the whole trajectory."""
        with torch.no_grad():
            scores = self.client.model(torch.tensor([trajectory.prompt_ids + trajectory.completion_ids])).logits[0]
        return scores[len(trajectory.prompt_ids) - 1 : -1]


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Iterator[Engine]:
    """A random model, made to end a turn now and then and to prefer a few tokens."""
    engine = Engine(InProcessClient(load_model(str(tiny_model), "float32"), load_renderer(str(tiny_model))))
    engine.client.model.eval()
    end = engine.client.renderer.tokenizer.convert_tokens_to_ids("<|im_end|>")

    def prefer(_module: Any, _inputs: Any, scores: torch.Tensor) -> torch.Tensor:
        scores = 4 * scores
        scores[:, :, end] += 9.0
        scores[:, :, 400:410] += 9.0
        return scores

    def noted(scores: torch.Tensor, sampling: Sampling) -> torch.Tensor:
        engine.steps.append(scores)
        return _draw(scores, sampling)

    hook = engine.client.model.get_output_embeddings().register_forward_hook(prefer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_process, "_draw", noted)
        yield engine
    hook.remove()


def log_probabilities(scores: torch.Tensor, ids: list[int], temperature: float) -> torch.Tensor:
    """Of each id, in its row of scores."""
    return torch.log_softmax(scores / temperature, dim=-1).gather(-1, torch.tensor(ids)[:, None])[:, 0]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("seed", [0, 1])
def test_two_turns_were_sampled_from_the_models_distribution(engine: Engine, temperature: float, seed: int) -> None:
    sampling = Sampling(temperature=temperature, max_tokens=12, seed=seed)
    batch = [start("p", [Message(role="user", content=text)]) for text in TEXTS for _ in range(GROUP)]
    turns, drawn_from = engine.complete(batch, sampling)
    callers = [i for i, turn in enumerate(turns) if turn.ended]
    assert 1 < len(callers) < len(batch), "some rows end early, others go on to the budget"
    assert len({turn.tokens for turn in turns}) > 2
    for number, i in enumerate(callers):
        batch[i].messages.append(Message(role="assistant", content=turns[i].content))
        result = RESULTS[number % len(RESULTS)]
        batch[i].messages.append(Message(role="tool", content=result, tool_call_id="c"))
    _, second = engine.complete([batch[i] for i in callers], sampling)
    for i, scores in zip(callers, second, strict=True):
        drawn_from[i] = torch.cat([drawn_from[i], scores])
    for i, (trajectory, scores) in enumerate(zip(batch, drawn_from, strict=True)):
        by_model = torch.tensor(trajectory.completion_mask) == 1
        assert bool((~by_model).any()) is (i in callers)
        ids = torch.tensor(trajectory.completion_ids)[by_model].tolist()
        expected = log_probabilities(engine.forward(trajectory)[by_model], ids, temperature)
        torch.testing.assert_close(log_probabilities(scores, ids, temperature), expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_group_draws_as_often_as_the_forward_pass_says(engine: Engine, temperature: float) -> None:
    """The first two tokens of many rollouts of one prompt, read once: each row must be drawn by itself."""
    drawn: list[list[int]] = []
    for seed in range(12):
        batch = [start("p", [Message(role="user", content=TEXTS[1])]) for _ in range(100)]
        engine.complete(batch, Sampling(temperature=temperature, max_tokens=1, seed=seed))
        drawn += [trajectory.completion_ids for trajectory in batch]
    probabilities = torch.softmax(engine.forward(batch[0])[0] / temperature, dim=-1)
    counts = torch.bincount(torch.tensor(drawn)[:, 0], minlength=len(probabilities))
    likely = probabilities.topk(8).indices
    expected = torch.cat([probabilities[likely], 1 - probabilities[likely].sum(dim=0, keepdim=True)]) * len(drawn)
    seen = torch.cat([counts[likely], len(drawn) - counts[likely].sum(dim=0, keepdim=True)])
    assert expected.min() > 5, "enough of each for the test"
    assert float(((seen - expected) ** 2 / expected).sum()) < 31.8  # chi-square, 8 degrees of freedom, p = 1e-4
