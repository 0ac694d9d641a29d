"""A guard model as a gateway asks it: behind a server like the gateway's own model, or in this process in a thread.

A server that is down is not waited for, and nothing is kept of what a guard is asked and replies. As everywhere, a
reply that can't be read is asked for once more, at another temperature.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from ascl.chat.messages import Message
from ascl.judges.asking.conversation import shown_prompt
from ascl.judges.asking.local import LocalModel
from ascl.judges.asking.served import said
from ascl.judges.guards.guard import Guard, Messages, Reading
from ascl.judges.judge import Case
from ascl.judges.open_judge import guard_of
from ascl.judges.settings import JudgeSettings
from ascl.models.completion import read_turn
from ascl.models.retry import RequestFailed
from ascl.models.sampling import Sampling
from ascl.serve.books import Pinned
from ascl.serve.protocol.assemble import Assembler
from ascl.serve.upstream import HttpUpstream

VERSIONS = 4  # of rule books, whose guards are kept
Words = Callable[[str], str]  # a text as it may stand in what a model reads


@dataclass
class GuardModel:
    """The guard of the settings, behind a server or in this process: there it reads one text after the other."""

    settings: JudgeSettings
    place: HttpUpstream | LocalModel
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "guard"))
    _guards: dict[str, Callable[[Case], Guard | None]] = field(default_factory=dict)  # by version of the rules

    async def read(self, case: Case, pinned: Pinned, alone: bool) -> Reading | None:
        """What the guard says of an answer under a version of the rules; None where it says nothing readable.

        alone: the answer is a text that may be anybody's. Raises RequestFailed.
        """
        prompt, answer = shown_prompt(case), case.trajectory.answer or ""
        guard = self._guard(_about(case, answer) if alone else case, pinned)
        if guard is None:  # the rules are in another script
            return None

        def messages(words: Words) -> Messages:
            return guard.ask_alone(words(answer)) if alone else guard.ask(words(prompt), words(answer))

        first = Sampling(max_tokens=guard.max_tokens)
        for sampling in (first, first.model_copy(update={"temperature": 0.7, "seed": 1})):
            if (reading := guard.parse(await self._reply(messages, sampling))) is not None:
                return reading
        return None

    def _guard(self, case: Case, pinned: Pinned) -> Guard | None:
        if pinned.version not in self._guards:
            if len(self._guards) == VERSIONS:
                self._guards.clear()
            guard, by = guard_of(self.settings, pinned.tool.book)
            self._guards[pinned.version] = by or (lambda _: guard)
        return self._guards[pinned.version](case)

    async def _reply(self, messages: Callable[[Words], Messages], sampling: Sampling) -> str:
        if isinstance(self.place, LocalModel):
            asking = partial(_said_here, self.place, messages, sampling)
            return await asyncio.get_running_loop().run_in_executor(self._thread, asking)
        body = {"model": self.settings.model, "messages": messages(str), "stream": True, **sampling.model_dump()}
        assembler = Assembler()
        async with aclosing(self.place.turn(body)) as chunks:
            async for chunk in chunks:
                assembler.add(chunk)
        if not assembler.ended:
            raise RequestFailed("cut", "the guard's stream ended before its reply did", passing=True)
        return said(read_turn(assembler.completion()))


def _about(case: Case, text: str) -> Case:
    """A case whose rules are those that a text is about."""
    asked = case.prompt.model_copy(update={"messages": [Message(role="user", content=text)]})
    return Case(asked, case.trajectory)


def _said_here(model: LocalModel, messages: Callable[[Words], Messages], sampling: Sampling) -> str:
    heard: list[str | None] = []
    model.ask([messages(model.untrusted)], sampling, lambda _, reply: heard.append(reply))
    if heard[0] is None:
        raise RequestFailed("too_long", "the text does not fit the guard", passing=False)
    return heard[0]
