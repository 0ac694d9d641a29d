"""The tiny model's renderer, and a server that follows a module's script."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from teacher_server import Teacher, teacher

from ascl.chat.render import Renderer
from ascl.models.models import load_renderer


@pytest.fixture(scope="session")
def renderer(tiny_model: Path) -> Renderer:
    return load_renderer(str(tiny_model))


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Teacher]:
    with teacher(request.module.SCRIPT) as running:
        yield running
