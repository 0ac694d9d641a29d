"""The launch configurations: accelerate reads them as meant, and what can run without a GPU runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DistributedType
from training_runs import __file__ as training_runs
from training_runs import moved

FOLDER = Path(__file__).parents[2] / "configs" / "accelerate"
FSDP2 = ("eight_gpus_fsdp2", "several_nodes_fsdp2")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_every_key(path: Path) -> None:
    config = load_config_from_file(str(path))  # raises on a key it does not know
    assert config.num_processes % config.num_machines == 0


@pytest.mark.parametrize("name", FSDP2)
def test_fsdp2_is_what_is_launched(name: str) -> None:
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert (config.distributed_type, config.mixed_precision) == (DistributedType.FSDP, "bf16")
    given = launch_command_parser().parse_args(["--config_file", str(FOLDER / f"{name}.yaml"), "script.py"])
    arguments = _validate_launch_command(given)[0]
    assert (arguments.use_fsdp, arguments.fsdp_version) == (True, 2)
    assert arguments.fsdp_auto_wrap_policy == "TRANSFORMER_BASED_WRAP"
    assert arguments.fsdp_state_dict_type == "FULL_STATE_DICT"


def test_a_training_runs_under_accelerate_launch(tiny_model: Path, tmp_path: Path) -> None:
    config = ["--config_file", str(FOLDER / "cpu.yaml")]
    given = [training_runs, "sft", str(tiny_model), str(tmp_path / "out")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(training_runs).parent)}
    command = [sys.executable, "-m", "accelerate.commands.launch", *config, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert moved(tiny_model, tmp_path / "out") > 0
