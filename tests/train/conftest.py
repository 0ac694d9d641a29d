"""What the trainers' tests share: the tiny model's renderer, the tool over the default rules, trainers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.models.models import load_renderer
from ascl.rules.book import RuleBook


@pytest.fixture(autouse=True, scope="session")
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


@pytest.fixture(scope="session")
def cloned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What supervised fine-tuning makes of the whole tiny model; to be read only."""
    from training_runs import sft

    sft(tiny_model, out := tmp_path_factory.mktemp("cloned") / "bc")
    return out


@pytest.fixture(scope="session")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with `training_runs.LORA`."""
    from training_runs import LORA, sft

    sft(tiny_model, out := tmp_path_factory.mktemp("adapter") / "bc", LORA)
    return out


@pytest.fixture
def make(
    tiny_model: Path, renderer: Renderer, tool: ConsultTool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Makes trainers (`trainers.maker`) whose rollouts are scripted; all else about them is real."""
    import trl.trainer.grpo_trainer as trl_grpo
    import trl.trainer.utils as trl_utils
    from scripted_rollouts import ScriptedClient
    from trainers import maker
    from trl.kernels import chunked_logprob

    from ascl.train.cpu import fit_trl_to_cpu

    monkeypatch.setattr("ascl.train.rollouts.InProcessClient", ScriptedClient)
    monkeypatch.setattr(trl_utils, "_use_triton", chunked_logprob._use_triton)  # put back after the test
    monkeypatch.setattr(trl_grpo, "shuffle_sequence_dict", trl_utils.shuffle_sequence_dict)
    fit_trl_to_cpu()
    return maker(tiny_model, renderer, tool, tmp_path / "work")
