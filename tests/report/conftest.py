"""Fixtures of the report tests."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import Browser
from made_files import write_run


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A small whole run."""
    return write_run(tmp_path / "run")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser, or a skipped test where there is none."""
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not on PATH")
    started = Browser(tmp_path / "profile")
    try:
        yield started
    finally:
        started.close()


@pytest.fixture
def writer() -> Callable[..., Path]:
    """The function that writes a run folder."""
    return write_run
