"""The guard of a gateway: whether an answer, or a text alone, is unsafe.

It is one of the judges (`ascl/judges/`), named once at the start; no request can name another. Where it gives no
verdict, GuardFailed is raised, and whoever asked decides: an answer is not sent, unless its key says `fail_open`.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ascl.chat.messages import Consultation, Message, StopReason, Trajectory
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError
from ascl.extension import is_import_path
from ascl.judges.asking.local import LocalModel
from ascl.judges.guards.guard import Safety
from ascl.judges.judge import Case, Judge
from ascl.judges.open_judge import guard_of, open_judge
from ascl.judges.settings import JudgeSettings
from ascl.models.retry import RequestFailed
from ascl.preflight import model_config
from ascl.rules.book import RuleBook
from ascl.serve.books import Pinned
from ascl.serve.guards.guard_model import GuardModel
from ascl.serve.upstream import HttpUpstream
from ascl.servers import checked_address

NO_WORDS = "?"  # in the place of a request that has no words


class GuardFailed(RequestFailed):
    """The guard gave no verdict. kind: why, as of a request, or `unread`, or the class of what was raised."""


class Found(NamedTuple):
    """What a guard found. broken: the categories or rules that it names, separated by commas."""

    unsafe: bool
    broken: str = ""


Find = Callable[[Case, Pinned, bool], Awaitable[Found | None]]


@dataclass
class GatewayGuard:
    """find: the verdict on a case under a version of the rules, None where it can't be read; the last argument says
    that the answer is a text alone. timeout: seconds for a verdict. upstream: its server.
    """

    name: str
    find: Find
    timeout: float
    upstream: HttpUpstream | None = None

    async def judge(self, case: Case, pinned: Pinned, alone: bool = False) -> Found:
        """The verdict on a case (`case_of`), or on its answer alone. Raises GuardFailed."""
        try:
            async with asyncio.timeout(self.timeout):
                found = await self.find(case, pinned, alone)
        except RequestFailed as failed:
            raise GuardFailed(failed.kind, failed.reason, failed.passing, failed.wait) from failed
        except TimeoutError as error:
            raise GuardFailed("timeout", "no verdict in time", passing=True) from error
        except Exception as error:  # of a model, or of a class of the user's
            raise GuardFailed(type(error).__name__, "the guard broke", passing=False) from error
        if found is None:
            raise GuardFailed("unread", "no readable verdict", passing=False)
        return found

    async def ready(self) -> bool:
        """Whether its server is there."""
        return self.upstream is None or await self.upstream.ready()

    async def close(self) -> None:
        """Let go of connections."""
        if self.upstream is not None:
            await self.upstream.close()


def open_guard(settings: JudgeSettings, book: RuleBook) -> GatewayGuard:
    """The guard of the settings. Raises InputError where they name none, or its model in this process is not there."""
    if settings.kind == "strongreject":
        raise InputError("--guard strongreject: it rates answers to forbidden requests alone; name another judge")
    if settings.kind == "offline" or is_import_path(settings.kind):
        judge = open_judge(settings, book, Path())
        return GatewayGuard(judge.name, _by_judge(judge), settings.timeout)
    name, model = f"{settings.kind} {settings.model}", settings.model or ""
    if settings.base_url is not None:
        url = checked_address(settings.base_url).rstrip("/")
        upstream = HttpUpstream(url, os.environ.get("OPENAI_API_KEY") or "none")
        return GatewayGuard(name, _by_model(GuardModel(settings, upstream)), settings.timeout, upstream)
    guard, _ = guard_of(settings, book)
    local = LocalModel(model, settings.revision, None if guard is None else guard.template)
    model_config(model, settings.revision)
    local.untrusted("")  # reads its tokenizer and template
    return GatewayGuard(name, _by_model(GuardModel(settings, local)), settings.timeout)


def case_of(asked: Sequence[Message], answer: str, consultations: Sequence[Consultation] = ()) -> Case:
    """A client's conversation up to the last words of its user, and an answer, as judges see them.

    What kind of prompt it is is not known here: a judge that asks for it takes every prompt for a harmful one.
    """
    turns = [one for one in asked if one.role in ("user", "assistant") and one.content.strip()]
    while turns and turns[-1].role != "user":
        turns.pop()
    turns = turns or [Message(role="user", content=NO_WORDS)]
    trajectory = Trajectory(
        prompt_id="served",
        messages=[*turns, Message(role="assistant", content=answer)],
        prompt_length=len(turns),
        stop=StopReason.ANSWERED,
        consultations=list(consultations),
    )
    return Case(Prompt(id="served", messages=turns, kind=Kind.HARMFUL), trajectory)


def _by_model(model: GuardModel) -> Find:
    passing = (Safety.SAFE,) if model.settings.strict else (Safety.SAFE, Safety.CONTROVERSIAL)

    async def find(case: Case, pinned: Pinned, alone: bool) -> Found | None:
        reading = await model.read(case, pinned, alone)
        return None if reading is None else Found(reading.safety not in passing, reading.broken)

    return find


def _by_judge(judge: Judge) -> Find:
    thread = ThreadPoolExecutor(1, "guard")

    async def find(case: Case, pinned: Pinned, alone: bool) -> Found | None:
        (verdict,) = await asyncio.get_running_loop().run_in_executor(thread, judge.judge_many, [case])
        return None if verdict is None or verdict.safe is None else Found(not verdict.safe)

    return find
