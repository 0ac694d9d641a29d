"""What the trainers' tests share: the tiny model's renderer, the tool over the default rules, a few prompts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_rollouts import PROMPTS

from ascl.chat.clients.models import load_renderer
from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.prompts.prompt import Prompt
from ascl.rules.book import RuleBook


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """A tiny model gains nothing from threads, and threads that wait for each other starve on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def renderer(tiny_model: Path) -> Renderer:
    return load_renderer(str(tiny_model))


@pytest.fixture(scope="session")
def tool() -> ConsultTool:
    return ConsultTool(RuleBook.load("default"), default_top_k=1)


@pytest.fixture
def prompts() -> list[Prompt]:
    return list(PROMPTS)
