"""What a run would do and cost, in words, without doing it: `ascl config check`."""

from ascl.chat.clients.model_folder import load_config as model_config
from ascl.run.checks import check_left
from ascl.run.config import RlArm, RunConfig, SftArm
from ascl.run.stages import stages
from ascl.run.world import ConfiguredWorld, plays_demonstrations
from ascl.recipes.demonstrations import demonstrated
from ascl.train.plan import steps_of


def costs_of(config: RunConfig, machine: str | None = None) -> list[str]:
    """Lines: the stages, what each arm trains on, how many tokens are sampled at most; time and memory of an RL step.

    machine: `here` (measured) or a name of `train/machine.py`; None: no time. Raises InputError where something that the
    run needs is not there.
    """
    world = ConfiguredWorld(config)
    planned = stages(config, world)
