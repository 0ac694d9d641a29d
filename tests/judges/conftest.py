"""What the judges' tests share: guard servers, and trajectories to judge."""

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guard_server import GuardServer, Script

from ascl import progress
from ascl.judges.asking.model_judge import ModelJudge
from ascl.judges.asking.served import ServedModel
from ascl.judges.open_judge import open_judge
from ascl.judges.settings import JudgeSettings
from ascl.progress import Screen
from ascl.rules.book import RuleBook


@pytest.fixture
def serve() -> Iterator[Callable[[Script], GuardServer]]:
    """Starts guard servers; they are stopped behind the test."""
    servers: list[GuardServer] = []

    def start(script: Script) -> GuardServer:
        servers.append(GuardServer(script))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def book() -> RuleBook:
    return RuleBook.load("default")


@pytest.fixture
def judge_at(tmp_path: Path, book: RuleBook) -> Callable[..., ModelJudge]:
    """Opens a judge at a server, with its replies kept in the test's folder, and without the long waits."""

    def opened(server: GuardServer, kind: str = "qwen3guard", **settings: object) -> ModelJudge:
        given = JudgeSettings.model_validate({"kind": kind, "model": "g", "base_url": server.base_url} | settings)
        judge = open_judge(given, book, tmp_path / "replies.jsonl")
        assert isinstance(judge, ModelJudge)
        for reader in filter(None, (judge.guard, judge.claims)):
            if isinstance(reader.model, ServedModel):
                reader.model.wait = reader.model.client.backoff = 0.01
        return judge

    return opened


class Listener(io.StringIO):
    """A file that tells when a word was written to it."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word, self.heard = word, threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.word in self.getvalue():
            self.heard.set()
        return written


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Listener:
    """What judges say on standard error, with an event for the line that says that one is waited for."""
    listener = Listener("waiting")
    monkeypatch.setattr(progress, "console", Screen(file=listener))
    return listener
