"""A training run that is killed and started again ends where one that was left alone ends."""

import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import forked
import pytest
from scripted_rollouts import ANSWERS, GROUP
from training_runs import log_of, main, rl, rollouts, same, sft

from ascl.train.checkpoints import last_checkpoint
from ascl.train.settings import Lora


def steps_logged(out: Path) -> list[int]:
    return [row["step"] for row in log_of(out)]


def checkpoints(out: Path) -> dict[str, bool]:
    """The checkpoints of a run that is not finished, and whether each is marked as whole."""
    work = out.with_name(f"{out.name}.trainer")
    return {path.name: (path / "complete").exists() for path in work.glob("checkpoint-*")}


def test_sft_goes_on_from_the_last_whole_checkpoint(tiny_model: Path, cloned: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "killed", tmp_path / "killed.log"
    assert forked.finish(log, main, "sft", str(tiny_model), str(out), "save:4") == -signal.SIGKILL, log.read_text()
    assert checkpoints(out) == {"checkpoint-2": True, "checkpoint-4": False}
    assert not out.exists()

    sft(tiny_model, out)
    assert same(out, cloned)
    assert steps_logged(out) == steps_logged(cloned) == [1, 2, 3, 4, 5, 6]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "killed.log"]


def test_rl_goes_on_from_the_last_whole_checkpoint(tiny_model: Path, tmp_path: Path) -> None:
    rl(tiny_model, tmp_path / "alone")
    expected = rollouts(tmp_path / "alone")
    out = tmp_path / "killed"
    log = tmp_path / "killed.log"
    assert forked.finish(log, main, "rl", str(tiny_model), str(out), "step:5") == -signal.SIGKILL, log.read_text()
    assert checkpoints(out) == {"checkpoint-2": True, "checkpoint-4": True}
    assert {row["step"] for row in rollouts(out)} == {1, 2, 3, 4, 5}

    rl(tiny_model, out)
    found = rollouts(out)
    assert Counter((row["step"], row["group"]) for row in found) == {
        (step, group): GROUP for step in range(1, 7) for group in range(2)
    }
    for row, alone in zip(found, expected, strict=True):
        assert row | {"variant": "alone"} == alone
    answers = [row["trajectory"]["messages"][-1]["content"] for row in found]
    assert not set(answers) & set(ANSWERS)  # each has its sampled tail
    assert len(set(answers)) == len(answers)  # and another one in every step
    assert same(out, tmp_path / "alone")
    assert steps_logged(out) == steps_logged(tmp_path / "alone") == [1, 2, 3, 4, 5, 6]


class Interrupted(BaseException):
    """Stands for the end of the process."""


def stop_behind_step(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    def stop(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == step:
            raise Interrupted

    monkeypatch.setattr("ascl.train.checkpoints.MarkComplete.on_step_end", stop)


def test_lora_with_dropout_resumes_exactly(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lora = Lora(r=4, alpha=8, dropout=0.5)
    sft(tiny_model, tmp_path / "alone", lora)
    with monkeypatch.context() as patch:
        stop_behind_step(patch, 3)
        with pytest.raises(Interrupted):
            sft(tiny_model, tmp_path / "stopped", lora)
    sft(tiny_model, tmp_path / "stopped", lora)
    assert same(tmp_path / "stopped", tmp_path / "alone")


def test_a_run_that_dies_while_it_tidies_up_ends_well(
    tiny_model: Path, cloned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, remove = tmp_path / "model", shutil.rmtree

    def tear(path: Path, **options: Any) -> None:
        if Path(path) != out.with_name("model.trainer"):
            return remove(path, **options)
        for checkpoint in Path(path).glob("checkpoint-*"):
            (checkpoint / "model.safetensors").unlink()
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr("ascl.train.checkpoints.shutil.rmtree", tear)
        with pytest.raises(Interrupted):
            sft(tiny_model, out)
    assert same(out, cloned)
    sft(tiny_model, out)
    assert same(out, cloned)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def checkpoint(work: Path, step: int, whole: bool) -> Path:
    path = work / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_text("")
    if whole:
        (path / "complete").write_text("")
    return path


def test_the_newest_whole_checkpoint_counts_and_torn_ones_go(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "nowhere") is None
    checkpoint(tmp_path, 9, whole=True)
    whole = checkpoint(tmp_path, 10, whole=True)  # the newest by its number, not by its name
    torn = checkpoint(tmp_path, 24, whole=False)
    (tmp_path / "README.md").write_text("")
    assert last_checkpoint(tmp_path) == str(whole)
    assert not torn.exists()


def test_torn_checkpoints_alone_mean_a_fresh_start(tmp_path: Path) -> None:
    checkpoint(tmp_path, 4, whole=False)
    assert last_checkpoint(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
