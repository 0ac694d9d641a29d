"""The scripts for a GPU without the internet: large files in parts and whole again, options, and what is prepared."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ascl.run.arms import RlArm
from ascl.run.config import find_config, load_config

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PART = 1000


def called(script: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(BENCHMARKS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


def split(folder: Path, data: bytes) -> Path:
    """A file in parts, the parts alone in a folder."""
    (folder / "model.whl").write_bytes(data)
    done = called("gpu_parts.sh", "split", folder / "model.whl", folder / "parts", PART_BYTES=str(PART))
    assert done.returncode == 0, done.stderr
    return folder / "parts"


@pytest.mark.parametrize(("size", "parts"), [(1, 1), (PART, 1), (PART + 1, 2), (12 * PART, 12)])
def test_a_file_in_parts_is_the_same_file_again(tmp_path: Path, size: int, parts: int) -> None:
    data = os.urandom(size)
    folder = split(tmp_path, data)
    assert len(list(folder.glob("*.part-*"))) == parts
    assert max(path.stat().st_size for path in folder.glob("*.part-*")) <= PART
    for _ in range(2):  # a second time there is nothing to do
        assert called("gpu_parts.sh", "join", folder).returncode == 0
        assert (folder / "model.whl").read_bytes() == data


@pytest.mark.parametrize("damage", ["changed", "lost", "cut"])
def test_parts_that_make_another_file_are_refused(tmp_path: Path, damage: str) -> None:
    folder = split(tmp_path, os.urandom(3 * PART))
    part = folder / "model.whl.part-001"
    if damage == "lost":
        part.unlink()
    else:
        part.write_bytes(b"x" * PART if damage == "changed" else part.read_bytes()[1:])
    done = called("gpu_parts.sh", "join", folder)
    assert done.returncode == 2 and "copy them again" in done.stderr
    assert not (folder / "model.whl").exists()


def test_a_shorter_file_leaves_no_part_of_a_longer_one_behind(tmp_path: Path) -> None:
    split(tmp_path, os.urandom(3 * PART))
    folder = split(tmp_path, b"short")
    assert [path.name for path in folder.glob("*.part-*")] == ["model.whl.part-000"]


@pytest.mark.parametrize("script", ["gpu.sh", "gpu_parts.sh"])
def test_the_scripts_can_be_parsed(script: str) -> None:
    assert subprocess.run(["bash", "-n", str(BENCHMARKS / script)], check=False).returncode == 0
    assert os.access(BENCHMARKS / script, os.X_OK)


@pytest.mark.parametrize(
    ("given", "said"), [(["--what"], "neither an option nor a stage"), (["--model"], "--model needs a value")]
)
def test_a_wrong_option_is_one_line(given: list[str], said: str) -> None:
    done = called("gpu.sh", *given)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1
    assert called("gpu_parts.sh", *given).returncode == 2
    assert "arms" in called("gpu.sh", "--help").stdout


@pytest.mark.parametrize("tiny", [True, False])
def test_what_is_prepared_is_the_quickstarts_two_arms_from_one_clone(
    tmp_path: Path, tiny_model: Path, tiny: bool
) -> None:
    given = ["--model", tiny_model, "--run", tmp_path / "run", "prepare", *(["--tiny"] if tiny else [])]
    done = called("gpu.sh", *given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "prepare: " in (tmp_path / "run" / "figures" / "seconds.txt").read_text(encoding="utf-8")
    clone, arms = (load_config(tmp_path / "run" / f"{name}.yaml") for name in ("clone", "arms"))
    assert list(clone.arms) == ["bc"] and list(arms.arms) == ["bc", "grpo", "ifpo"]
    assert clone.model_copy(update={"arms": arms.arms}) == arms, "arms can be added to the clone's run"
    quickstart = load_config(find_config("quickstart"))
    if tiny:
        return
    assert clone.arms["bc"] == quickstart.arms["bc"] and clone.sft == quickstart.sft
    assert arms.rl == quickstart.rl.model_copy(update={"max_steps": 100, "save_steps": 20})
    assert {one.algorithm.type for one in arms.arms.values() if isinstance(one, RlArm)} == {"grpo", "ifpo"}


def test_a_stage_that_fails_is_named_and_the_next_one_is_tried(tmp_path: Path) -> None:
    done = called("gpu.sh", "--model", tmp_path / "none", "--run", tmp_path / "run", "prepare", "clone")
    assert done.returncode == 1
    assert done.stderr == f"gpu.sh: failed: prepare clone; see {tmp_path}/run/figures\n"
    assert "none" in (tmp_path / "run" / "figures" / "prepare.txt").read_text(encoding="utf-8")
    seconds = (tmp_path / "run" / "figures" / "seconds.txt").read_text(encoding="utf-8").splitlines()
    assert [line.partition(":")[0] for line in seconds] == ["prepare", "clone"]


def test_a_step_in_which_nothing_was_consulted_has_a_table() -> None:
    run = dict.fromkeys(("sampled", "tokens", "peak", "added CPU"), 16.0) | {"consulted": 0.0}
    run |= {f"{part} {clock}": 2.0 for part in ("step", "rollout", "learning") for clock in ("CPU", "wall")}
    program = f"import rl_step; rl_step.print_table({{'stock TRL': [{run}], 'ours': [{run}]}})"
    environment = os.environ | {"PYTHONPATH": str(BENCHMARKS)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    (consulted,) = [line for line in done.stdout.splitlines() if "share that consulted" in line]
    assert [cell.strip() for cell in consulted.split("│")[2:5]] == ["0.00", "0.00", "-"]
