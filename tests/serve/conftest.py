"""Gateways that tests start."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from administered import OLD, Admin, administered
from gateways import Serve, Served, serve_in
from guarding import Guarding, guarding
from scripted import answers, consults


@pytest.fixture
def serving(tmp_path: Path) -> Serve:
    """Serve a script: `with serving(turn, turn, strict=True) as served`."""
    return partial(serve_in, tmp_path / "gateway")


@pytest.fixture
def admin(serving: Serve, tmp_path: Path) -> Iterator[Admin]:
    """The admin page of a gateway over two files of rules, whose upstream looks something up and then answers."""
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "tea.yaml").write_text(OLD)
    (rules / "bread.yaml").write_text(OLD.replace("tea", "bread").replace("Tea", "Bread").replace("cold", "old"))
    with administered(serving, consults("serving tea"), answers("Yes."), rules=str(rules), keep_queries=True) as made:
        yield made


@pytest.fixture(scope="module")
def guard() -> Iterator[Guarding]:
    """A guard that runs."""
    with guarding() as running:
        yield running


@pytest.fixture(scope="module")
def running_guarded(guard: Guarding, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with that guard."""
    with serve_in(tmp_path_factory.mktemp("gateway"), answers("Hi"), guard=guard.settings) as served:
        yield served


@pytest.fixture
def guarded(running_guarded: Served, guard: Guarding) -> Served:
    """The gateway with its guard as both began."""
    guard.status, guard.reply = 200, None
    guard.conversations.clear()
    return running_guarded
