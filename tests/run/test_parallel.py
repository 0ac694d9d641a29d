"""Arms side by side: a process that is killed ends the run in one line, and what is done stays done."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from ascl.errors import InputError
from ascl.run.arms import BaseArm, Job
from ascl.run.config import RunConfig
from ascl.run.parallel import do_all
from ascl.run.stages import Stage
from ascl.run.world import ConfiguredWorld


class Killed(BaseArm):
    """A method whose process is killed."""

    method: Literal["test_parallel:Killed"]

    def check(self, name: str, settings: Any, world: Any) -> None:
        """Nothing is needed."""

    def train(self, job: Job) -> None:
        """As the kernel does where memory is short."""
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_one_line(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    arm = {"method": "test_parallel:Killed"}
    config = RunConfig.model_validate({"model": str(tiny_model), "arms": {"one": arm, "two": arm}})
    stages: Sequence[Stage] = [Stage("train", name, 0) for name in ("one", "two")]
    finished: list[str] = []
    with pytest.raises(InputError, match=r"a process that trained arms was killed.*(one|two)-0.*same command again"):
        do_all(stages, tmp_path, config, ConfiguredWorld(config), 2, lambda stage, _: finished.append(stage.name))
    assert finished == []
