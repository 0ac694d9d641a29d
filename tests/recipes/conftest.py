"""The tiny model's renderer."""

from pathlib import Path

import pytest

from ascl.chat.render import Renderer
from ascl.models.models import load_renderer


@pytest.fixture(scope="session")
def renderer(tiny_model: Path) -> Renderer:
    return load_renderer(str(tiny_model))
