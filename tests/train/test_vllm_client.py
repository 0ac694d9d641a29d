"""The vLLM client against an engine with vLLM's answer form: the loop, the masks and the log-probabilities add up."""

from typing import Any

import pytest
from scripted_rollouts import ANSWERS, LOOK_UP, PROMPTS

from ascl.chat.render import Renderer
from ascl.consult.rollout import MAX_TURNS, rollout, start
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import with_rules
from ascl.models.sampling import Sampling
from ascl.train.vllm import VllmClient


class Engine:
    """Answers as TRL's `VLLMGeneration.generate` does: ids, and one log-probability per token in a list of its own."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer, self.batches = renderer, []

    def generate(self, prompts: list[list[int]], images: None, num_generations: int) -> tuple[Any, ...]:
        assert num_generations == 1
        self.batches.append(len(prompts))
        first = len(self.batches) == 1
        texts = [
            f"<think>Check.</think>\n{LOOK_UP if first and i % 2 == 0 else ANSWERS[0]}<|im_end|>"
            for i in range(len(prompts))
        ]
        ids = [self.renderer.ids(text) for text in texts]
        return prompts, ids, [[[-0.5] for _ in row] for row in ids], None


def test_every_process_asks_for_as_many(renderer: Renderer, tool: ConsultTool, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL cuts the answers of a server into equal parts, one for each process."""
    monkeypatch.setattr("ascl.train.vllm.gather_object", lambda mine: [*mine, 5])  # another process has five
    engine = Engine(renderer)
    client = VllmClient(engine, renderer)
    walked = [start(p.id, with_rules("ascl", p.messages, tool)) for p in PROMPTS[:2]]
    turns = client.complete(walked, [tool.schema], Sampling())
    assert engine.batches == [5]
    assert [bool(turn.calls) for turn in turns] == [True, False]
    assert all(len(t.logprobs) == len(t.completion_ids) > 0 for t in walked)


def test_rollouts_through_vllm(renderer: Renderer, tool: ConsultTool) -> None:
    engine = Engine(renderer)
    client = VllmClient(engine, renderer)
    walked = [start(p.id, with_rules("ascl", p.messages, tool)) for p in PROMPTS]
    rollout(client, walked, tool, Sampling())
    client.keep_in_step()
    assert engine.batches == [len(PROMPTS), len(PROMPTS) // 2]
    assert client.calls == MAX_TURNS  # as many as any other process
    for i, trajectory in enumerate(walked):
        assert trajectory.consulted == (i % 2 == 0)
        assert len(trajectory.logprobs) == len(trajectory.completion_ids) == len(trajectory.completion_mask)
        sampled = [-0.5 if own else 0.0 for own in trajectory.completion_mask]
        assert trajectory.logprobs == sampled
        ids, _ = renderer.encode(trajectory.messages, [tool.schema])
        assert trajectory.prompt_ids + trajectory.completion_ids == ids[: len(ids) - 1]
