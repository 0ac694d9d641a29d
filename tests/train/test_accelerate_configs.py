"""The launch configurations: accelerate reads them as meant, and what can run without a GPU runs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DistributedType
from training_runs import __file__ as training_runs
from training_runs import weights

FOLDER = Path(__file__).parents[2] / "configs" / "accelerate"
FSDP2 = ("eight_gpus_fsdp2", "several_nodes_fsdp2")


def validated(name: str) -> Any:
    """The arguments of `accelerate launch`, as a configuration fills them in."""
    path = FOLDER / f"{name}.yaml"
    given = launch_command_parser().parse_args(["--config_file", str(path), "script.py"])
    return _validate_launch_command(given)[0]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_every_key(path: Path) -> None:
    config = load_config_from_file(str(path))  # raises on a key it does not know
    assert config.num_processes % config.num_machines == 0


@pytest.mark.parametrize("name", FSDP2)
def test_fsdp2_is_what_is_launched(name: str) -> None:
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert (config.distributed_type, config.mixed_precision) == (DistributedType.FSDP, "bf16")
    arguments = validated(name)
    assert (arguments.use_fsdp, arguments.fsdp_version) == (True, 2)
    assert arguments.fsdp_auto_wrap_policy == "TRANSFORMER_BASED_WRAP"
    assert arguments.fsdp_state_dict_type == "FULL_STATE_DICT"


def launched(name: str, *arguments: object, **changes: str) -> subprocess.CompletedProcess[str]:
    """`accelerate launch --config_file NAME` of a whole training run of the tiny model."""
    command = ["accelerate.commands.launch", "--config_file", str(FOLDER / f"{name}.yaml"), "--main_process_port", "0"]
    for key, value in changes.items():
        command += [f"--{key}", value]
    return subprocess.run(
        [sys.executable, "-m", *command, training_runs, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(training_runs).parent)},
    )


def test_two_processes_train_on_a_cpu(tiny_model: Path, tmp_path: Path) -> None:
    done = launched("cpu_two_processes", "sft", tiny_model, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    before, after = weights(tiny_model), weights(tmp_path / "out")
    assert any(not torch.equal(before[name], after[name]) for name in before)
