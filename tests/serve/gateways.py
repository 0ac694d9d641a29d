"""A gateway over a scripted upstream, both at real addresses."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripted import Chunks, Scripted, running, scripted

from ascl.serve.app import build_app
from ascl.serve.connection import Bounds
from ascl.serve.gateway import Gateway
from ascl.serve.run import ServeSettings, open_gateway
from ascl.serve.upstream import HttpUpstream


@dataclass
class Served:
    """A gateway that runs, and what stands behind it."""

    url: str
    gateway: Gateway
    script: Scripted
    folder: Path


Serve = Callable[..., AbstractContextManager[Served]]


@contextmanager
def serve_in(
    folder: Path, *turns: Chunks, rules: str = "default", bounds: Bounds | None = None, **settings: Any
) -> Iterator[Served]:
    """Serve a script, with the gateway's files in a folder."""
    with scripted(*turns) as script:
        chosen = ServeSettings(rules, 2, folder, "127.0.0.1", 0, **settings)
        gateway = open_gateway(chosen, ["model"], HttpUpstream(script.url, "upstream-key"))
        with running(build_app(gateway), bounds) as url:
            yield Served(url, gateway, script, folder)
