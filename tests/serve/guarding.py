"""A guard at an address of its own (Qwen3Guard's form), that finds a text with the word `bomb` in it unsafe."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from scripted import running
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ascl.judges.named import judge_settings
from ascl.judges.settings import JudgeSettings

UNSAFE = "Safety: Unsafe\nCategories: Violent\nRefusal: No"
SAFE = "Safety: Safe\nCategories: None\nRefusal: No"


@dataclass
class Guarding:
    """What it is asked. status: of its replies. reply: what it says, whatever it is asked. may: it waits for it."""

    url: str = ""
    conversations: list[list[dict[str, str]]] = field(default_factory=list)
    status: int = 200
    reply: str | None = None
    may: threading.Event = field(default_factory=threading.Event)

    @property
    def settings(self) -> JudgeSettings:
        """Where it is, for a gateway."""
        return judge_settings(f"qwen3guard:guard@{self.url}")

    async def complete(self, request: Request) -> Response:
        messages = json.loads(await request.body())["messages"]
        self.conversations.append(messages)
        await asyncio.to_thread(self.may.wait, 20)
        if self.status == 307:
            return RedirectResponse(f"{self.url}/models")
        if self.status != 200:
            return JSONResponse({"error": {"message": f"SECRET guard words on {messages}"}}, self.status)
        told = self.reply if self.reply is not None else UNSAFE if "bomb" in messages[-1]["content"] else SAFE
        message = {"role": "assistant", "content": told}
        return JSONResponse({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


@contextmanager
def guarding() -> Iterator[Guarding]:
    """A guard that runs."""
    guard = Guarding()
    guard.may.set()

    async def models(_: Request) -> Any:
        return JSONResponse({"data": [{"id": "guard"}]})

    routes = [Route("/v1/chat/completions", guard.complete, methods=["POST"]), Route("/v1/models", models)]
    with running(Starlette(routes=routes)) as url:
        guard.url = f"{url}/v1"
        yield guard
