"""A model folder in this process behind the same application: what waits is sampled together."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ascl.chat.messages import Trajectory
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.tool import TOOL_NAME
from ascl.models.in_process import InProcessClient
from ascl.models.models import load_model, load_renderer
from ascl.models.retry import RequestFailed
from ascl.models.sampling import Sampling
from ascl.serve.local import LocalUpstream

USER = [{"role": "user", "content": "Tea?"}]


class Noted:
    """Answers at once; notes the batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def complete(self, trajectories: list[Trajectory], tools: Any, sampling: Sampling) -> list[Turn]:
        self.batches.append(len(trajectories))
        if trajectories[0].messages[-1].content == "Break":
            raise MemoryError
        if trajectories[0].messages[-1].content == "Look":
            return [Turn("", "Hm.", [ParsedCall(TOOL_NAME, {"query": "tea"})]) for _ in trajectories]
        return [Turn(f"{t.messages[-1].content} {sampling.seed}", None, tokens=3) for t in trajectories]


def body(text: str = "Tea?", **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 8, "seed": 0, **fields}


async def chunks(upstream: LocalUpstream, asked: dict[str, Any]) -> list[dict[str, Any]]:
    return [chunk async for chunk in upstream.turn(asked)]


def test_what_waits_goes_together_and_other_settings_apart() -> None:
    client = Noted()

    async def ask() -> list[Any]:
        upstream = LocalUpstream(client)
        asked = [body(f"q{n}", seed=n % 2) for n in range(8)]
        return await asyncio.gather(*(chunks(upstream, one) for one in asked))

    replies = asyncio.run(ask())
    assert [reply[0]["choices"][0]["delta"]["content"] for reply in replies] == [f"q{n} {n % 2}" for n in range(8)]
    assert sorted(client.batches) in ([4, 4], [1, 3, 4], [1, 3, 1, 3])


def test_a_call_and_a_failure_and_what_it_can_not_read() -> None:
    async def ask() -> None:
        upstream = LocalUpstream(Noted())
        (chunk,) = await chunks(upstream, body("Look"))
        assert chunk["choices"][0]["finish_reason"] == "tool_calls"
        assert chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] == TOOL_NAME
        with pytest.raises(RequestFailed, match="MemoryError"):
            await chunks(upstream, body("Break"))
        image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
        with pytest.raises(RequestFailed) as failed:
            await chunks(upstream, body() | {"messages": image})
        assert failed.value.kind == "http_400"
        assert (await chunks(upstream, body("And on?")))[0]["choices"][0]["delta"]["content"] == "And on? 0"

    asyncio.run(ask())


def test_one_that_leaves_is_not_sampled() -> None:
    client = Noted()

    async def ask() -> None:
        upstream = LocalUpstream(client)
        first = asyncio.create_task(chunks(upstream, body("a", seed=1)))
        second = asyncio.create_task(chunks(upstream, body("b", seed=2)))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert not upstream.waiting

    asyncio.run(ask())
    assert sum(client.batches) <= 2


def test_a_real_model_answers(tiny_model: Path) -> None:
    client = InProcessClient(load_model(str(tiny_model), "float32"), load_renderer(str(tiny_model)))

    async def ask() -> dict[str, Any]:
        (chunk,) = await chunks(LocalUpstream(client), body(temperature=0.7))
        return chunk

    chunk = asyncio.run(ask())
    assert chunk == asyncio.run(ask())
    assert chunk["usage"]["completion_tokens"] <= 8
    assert chunk["usage"]["prompt_tokens"] > 3
