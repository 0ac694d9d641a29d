"""A gateway as an operator starts it: a process of its own, with what it says on stderr."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

QUESTION = {"model": "model", "messages": [{"role": "user", "content": "How do I make tea?"}]}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Process:
    """A gateway's process. said: its lines so far, which are JSON."""

    child: subprocess.Popen[str]
    url: str
    said: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def read(self) -> None:
        assert self.child.stderr is not None
        for line in self.child.stderr:
            with self.changed:
                self.said.append(line)
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, words: str, count: int = 1) -> None:
        """Return once so many lines hold the words."""

        def there() -> bool:
            return sum(words in line for line in self.said) >= count

        with self.changed:
            assert self.changed.wait_for(lambda: there() or self.child.poll() is not None, 600) and there(), self.said

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.said]

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["message"] == "request"]

    def ask(self, key: str = "", **fields: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx2.post(f"{self.url}/v1/chat/completions", json=QUESTION | fields, headers=headers, timeout=60)

    def stop(self) -> int:
        """Ask it to stop, and wait until it has; its exit code."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        return self.child.wait(60)


@contextmanager
def process(*arguments: str, host: str = "127.0.0.1", **options: Any) -> Iterator[Process]:
    """`ascl serve` with arguments, once it listens."""
    port = free_port()
    command = [sys.executable, "-m", "ascl.cli.main", "serve", *arguments, "--host", host, "--port", str(port)]
    environment = os.environ | options.pop("env", {})
    child = subprocess.Popen(
        [*command, "--log-format", "json"], stderr=subprocess.PIPE, text=True, env=environment, **options
    )
    running = Process(child, f"http://127.0.0.1:{port}")
    reader = threading.Thread(target=running.read, daemon=True)
    reader.start()
    try:
        running.wait_for("listening")
        yield running
    finally:
        running.stop()
        reader.join(20)
        assert child.stderr is not None
        child.stderr.close()


def folder_with_key(folder: Path) -> str:
    """Make a folder of a gateway with a key; the key."""
    from ascl.serve.keys import make_key
    from ascl.serve.run import KEYS

    return make_key(folder / KEYS, "tenant-x")
