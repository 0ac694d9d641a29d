"""A model folder in this process as an upstream: what waits is sampled together, one batch after the other."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from ascl.chat.messages import Trajectory, message_of
from ascl.chat.turn import Turn
from ascl.errors import InputError
from ascl.models.retry import RequestFailed
from ascl.models.sampling import Client, Sampling

MOST = 32  # turns of a batch
Waiting = tuple[Trajectory, list[dict[str, Any]], Sampling, "asyncio.Future[Turn]"]


@dataclass
class LocalUpstream:
    """`client` samples in a thread. A turn comes as one chunk."""

    client: Client
    waiting: list[Waiting] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None

    async def turn(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """See `Upstream`."""
        try:
            messages = [message_of(message) for message in body["messages"]]
            sampling = Sampling(
                temperature=body.get("temperature") or 0.0,
                top_p=body.get("top_p") or 1.0,
                max_tokens=body["max_tokens"],
                seed=body["seed"],
            )
        except (InputError, ValueError) as error:  # an image; a number out of range
            raise RequestFailed("http_400", "this model can't read the request", passing=False) from error
        asked = Trajectory(prompt_id="served", messages=messages, prompt_length=len(messages))
        answer: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self.waiting.append((asked, body.get("tools") or [], sampling, answer))
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._sample())
        try:
            turn = await answer
        except asyncio.CancelledError:
            self.waiting = [one for one in self.waiting if one[3] is not answer]
            raise
        yield _chunk(turn, len(asked.prompt_ids))

    async def _sample(self) -> None:
        """Sample until nobody waits. What is asked with the same tools and settings goes together."""
        while self.waiting:
            _, tools, sampling, _ = self.waiting[0]
            batch = [one for one in self.waiting if one[1] == tools and one[2] == sampling][:MOST]
            self.waiting = [one for one in self.waiting if all(one[3] is not taken[3] for taken in batch)]
            try:
                turns = await asyncio.to_thread(self.client.complete, [one[0] for one in batch], tools, sampling)
                outcomes: list[Turn | Exception] = [*turns]
            except Exception as error:  # of the model: each of them is told
                outcomes = [RequestFailed("model", type(error).__name__, passing=False)] * len(batch)
            for (*_, answer), outcome in zip(batch, outcomes, strict=True):
                if not answer.done():
                    if isinstance(outcome, Exception):
                        answer.set_exception(outcome)
                    else:
                        answer.set_result(outcome)

    async def ready(self) -> bool:
        """See `Upstream`."""
        return True

    async def close(self) -> None:
        """See `Upstream`."""
        if self.task is not None:
            self.task.cancel()


def _chunk(turn: Turn, prompt_tokens: int) -> dict[str, Any]:
    calls = [
        {
            "index": number,
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
        }
        for number, call in enumerate(turn.calls)
    ]
    delta: dict[str, Any] = {"content": turn.content, "reasoning": turn.thought or ""}
    if calls:
        delta["tool_calls"] = calls
    reason = ("tool_calls" if calls else "stop") if turn.ended else "length"
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": turn.tokens}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], "usage": usage}
