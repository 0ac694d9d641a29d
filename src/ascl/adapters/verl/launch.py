"""Start a verl run: `python -m ascl.adapters.verl.launch configs/verl/one_node.yaml key=value ..` (docs/verl.md).

It composes the config with verl's own, makes sure that verl knows our estimators (verl would say so only after minutes
of start-up, in a worker's log), fills in the tool's file, and hands over to verl's `run_ppo`.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascl.adapters.verl.estimators import assert_registered
from ascl.errors import InputError
from ascl.terminal import echo

if TYPE_CHECKING:
    from omegaconf import DictConfig

TOOL_FILE = Path(__file__).with_name("function_tool.py")


def composed(path: Path, overrides: list[str]) -> "DictConfig":
    """The config file with verl's defaults under it and hydra's overrides over it. Raises InputError."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if not path.is_file():
        raise InputError(f"{path}: no such config; see configs/verl")
    ours = [
        "hydra.searchpath=[pkg://verl.trainer.config]",
        f"actor_rollout_ref.rollout.multi_turn.function_tool_path={TOOL_FILE}",
    ]
    try:
        with initialize_config_dir(os.path.realpath(path.parent), version_base=None):
            return compose(path.stem, overrides=[*ours, *overrides])
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(f"{path}: {error}") from error


def check(config: "DictConfig") -> None:
    """Raise what would go wrong later, or silently: verl's own checks, our estimators, and what a tool run needs."""
    from verl.trainer.ppo.core_algos import get_adv_estimator_fn
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    from ascl.adapters.verl.estimators import ALGORITHMS, algorithm_of
    from ascl.adapters.verl.trainer import MODE

    assert_registered()
    name = config.algorithm.adv_estimator
    get_adv_estimator_fn(name)
    if name in ALGORITHMS and algorithm_of(name, config.algorithm).needs and config.trainer.v1.trainer_mode != MODE:
        raise InputError(f"{name} needs trainer.v1.trainer_mode={MODE}")
    multi_turn = config.actor_rollout_ref.rollout.multi_turn
    if multi_turn.max_assistant_turns != config.reward.custom_reward_function.reward_kwargs.max_turns:
        raise InputError("multi_turn.max_assistant_turns and the reward's max_turns must be the same number")
    validate_config(config, need_reference_policy(config), need_critic(config))


def main(arguments: list[str]) -> None:
    """Compose, check, run."""
    if not arguments or "=" in arguments[0]:
        raise InputError("usage: python -m ascl.adapters.verl.launch CONFIG.yaml [key=value ..]")
    if missing := [name for name in ("hydra", "verl") if find_spec(name) is None]:
        raise InputError(f"{' and '.join(missing)} not installed: pip install 'ascl[verl]'")
    config = composed(Path(arguments[0]), arguments[1:])
    check(config)

    from verl.trainer.main_ppo import run_ppo
    from verl.utils.device import auto_set_device

    auto_set_device(config)
    run_ppo(config, task_runner_class=task_runner())


def task_runner() -> Any:
    """verl's task runner as a Ray actor, in whose process our trainer is registered."""
    import ray
    from verl.trainer.main_ppo import TaskRunnerV1

    class ConsultTaskRunner(TaskRunnerV1.__ray_metadata__.modified_class):
        def run(self, config: "DictConfig") -> None:
            import ascl.adapters.verl.trainer  # noqa: F401  registers the trainer

            assert_registered()
            super().run(config)

    return ray.remote(ConsultTaskRunner)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except InputError as error:
        echo(error, err=True)
        sys.exit(2)
