"""Fixtures of the report tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Browser


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
