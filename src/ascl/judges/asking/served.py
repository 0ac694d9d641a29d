"""A judging model behind an OpenAI-compatible server, which may be down for a while.

A judge that was there before and is down makes the run wait, and one line says so: that is never the end of a run and
never costs a verdict. Where nobody listens from the beginning, the address is taken for wrong.
Whether it is down, or only fails on one text, is found out by asking it something harmless, and that text again alone.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ascl.chat.inline_thought import CLOSES
from ascl.chat.messages import Trajectory
from ascl.chat.neutralise import neutralise
from ascl.chat.turn import Turn
from ascl.judges.asking.spoken import END_OF_THOUGHT
from ascl.judges.guards.guard import Messages
from ascl.models.openai_server import OpenAIClient
from ascl.models.retry import RequestFailed
from ascl.models.sampling import Sampling
from ascl.progress import tell
from ascl.servers import WAIT

if TYPE_CHECKING:
    import openai

ENDS_RUN = ("http_401", "http_403", "http_404", "not_sent", "redirected")  # the key, the model or the address is wrong
NOT_THE_TEXT = ("http_429", "unreachable")  # failures that no text is the cause of
MAX_STRIKES = 3  # a text that fails so often, while nothing else does, is left unread
MAX_PAGES = 3  # looks that found something else than a model before an address that never answered is taken for wrong
MAX_REPLY = 100_000  # characters; no judge is asked for so much, and a longer reply is none
HARMLESS: Messages = [{"role": "user", "content": "Hello."}]


def said(turn: Turn) -> str:
    """What a judging model said, its thought before it; empty where it was cut, out of form or endless."""
    sound = turn.ended and turn.stop is None and not turn.calls and len(turn.content) <= MAX_REPLY
    if not sound:
        return ""
    # A thought may be none, but words that come before a text the model quotes: `after_thought` looks at it.
    return f"{END_OF_THOUGHT.sub('', turn.thought)}{CLOSES}{turn.content}" if turn.thought else turn.content


@dataclass
class ServedModel:
    """The model that `client` asks. name: what it is called in messages. wait: seconds between looks for a lost server.

    Texts reach `ask` neutralised (`untrusted`), so the conversations leave as they are: their markers are meant.
    """

    name: str
    client: OpenAIClient
    wait: float = WAIT
    answered: bool = False  # the server has answered at least once
    refused: int = 0  # texts it would not take
    failures: int = 0  # requests that failed in a way that may pass: of texts, and looks for the server

    def untrusted(self, text: str) -> str:
        """See `AskedModel`."""
        return neutralise(text)

    def ask(self, conversations: list[Messages], sampling: Sampling, heard: Callable[[int, str | None], None]) -> None:
        """See `AskedModel`. Waits while the server is down; raises InputError where it can't be used as it is named."""
        from ascl.http_client import run_here  # a loop may be running (`sampling/served.py`)

        run_here(self._ask(conversations, sampling, heard))

    async def _ask(
        self, conversations: list[Messages], sampling: Sampling, heard: Callable[[int, str | None], None]
    ) -> None:
        waiting = iter(enumerate(conversations))
        looking = asyncio.Lock()

        async def work(server: "openai.AsyncOpenAI") -> None:
            for number, messages in waiting:
                heard(number, await self._reply(server, messages, sampling, looking))

        async with self.client.connect() as server:
            workers = min(self.client.concurrency, len(conversations))
            await asyncio.gather(*(work(server) for _ in range(workers)))

    async def _reply(
        self, server: "openai.AsyncOpenAI", messages: Messages, sampling: Sampling, looking: asyncio.Lock
    ) -> str | None:
        """The reply to one conversation; None where the server answers others and can't be brought to answer this."""
        before = self.failures
        try:
            return await self._say(server, messages, sampling, self.client.attempts)
        except RequestFailed as error:
            failed = error
        if not failed.passing and self.answered:
            self._leave_out(failed)
            return None
        strikes = 0
        async with looking:  # one text looks for the server and is asked again, the others that failed wait for it
            while True:
                await self._until_up(server)
                if failed.kind not in NOT_THE_TEXT and self.failures == before + 1:  # nothing failed but this text
                    strikes += 1
                if not failed.passing or strikes == MAX_STRIKES:
                    self._leave_out(failed)
                    return None
                before = self.failures
                try:
                    return await self._say(server, messages, sampling, self.client.attempts)
                except RequestFailed as error:
                    failed = error

    async def _say(self, server: "openai.AsyncOpenAI", messages: Messages, sampling: Sampling, attempts: int) -> str:
        """What the model said (`said`).

        Raises RequestFailed; InputError for ENDS_RUN.
        """
        client = replace(self.client, attempts=attempts, extra_body={"messages": messages})
        try:
            turn = await client.turn(server, Trajectory(prompt_id="", messages=[], prompt_length=0), [], sampling)
        except RequestFailed as failed:
            self.failures += failed.passing
            if failed.kind in ENDS_RUN or (failed.kind == "unreachable" and not self.answered):
                raise self.client.input_error(failed) from failed
            raise
        self.answered = True
        return said(turn)

    async def _until_up(self, server: "openai.AsyncOpenAI") -> None:
        """Wait until the server answers something harmless. Raises InputError where it can't be used as it is named."""
        lost_at: float | None = None
        pages = 0  # in a row
        while True:
            try:
                await self._say(server, HARMLESS, Sampling(max_tokens=16), attempts=1)
                break
            except RequestFailed as failed:
                pages = pages + 1 if failed.kind == "not_a_completion" else 0
                nobody = pages == MAX_PAGES and not self.answered  # a web page, say: no model ever was there
                if nobody or not failed.passing:  # or it takes nothing at all
                    raise self.client.input_error(failed) from failed
                if lost_at is None:
                    lost_at = time.monotonic()
                    tell(f"{self._where} does not answer ({failed.reason}); waiting, asking every {self.wait:g} s")
                await asyncio.sleep(max(self.wait, failed.wait or 0.0))
        if lost_at is not None:
            tell(f"{self._where} is back after {time.monotonic() - lost_at:.0f} s")

    def _leave_out(self, failed: RequestFailed) -> None:
        self.refused += 1
        if self.refused == 1:
            tell(f"{self._where} does not take every text ({failed.reason}); such a reply is left without verdict")

    @property
    def _where(self) -> str:
        return f"judge {self.name} at {self.client.base_url}"
