"""What the trainers' tests share: the tiny model's renderer, the tool over the default rules, a few prompts."""

from pathlib import Path

import pytest
from scripted_rollouts import PROMPTS

from ascl.chat.clients.models import load_renderer
from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.prompts.prompt import Prompt
from ascl.rules.book import RuleBook


@pytest.fixture(scope="session")
def renderer(tiny_model: Path) -> Renderer:
    return load_renderer(str(tiny_model))


@pytest.fixture(scope="session")
def tool() -> ConsultTool:
    return ConsultTool(RuleBook.load("default"), default_top_k=1)


@pytest.fixture
def prompts() -> list[Prompt]:
    return list(PROMPTS)
