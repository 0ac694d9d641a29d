"""Fixtures of the report tests."""

import shutil
from collections.abc import Iterator

import pytest
from chromium import Browser


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser, or skipped tests where there is none."""
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not on PATH")
    started = Browser(tmp_path_factory.mktemp("browser") / "profile")
    try:
        yield started
    finally:
        started.close()


@pytest.fixture
def browser(started: Browser) -> Browser:
    """The browser with an empty tab."""
    started.new_tab()
    return started
