"""The smallest lab."""

from ascl.lab.lab import lab_config
from ascl.lab.lab_world import LabSizes
from ascl.run.config import RunConfig
from ascl.train.settings import RlSettings, SftSettings

SIZES = LabSizes(requests=24, plain=4, sums=8, test_requests=9, test_plain=2, test_sums=3, width=16, layers=1)


def tiny(*arms: str, seeds: tuple[int, ...] = (0,), world: str = "default") -> RunConfig:
    """The lab's configuration with these arms (none: all), a few steps each."""
    config = lab_config(arms, seeds, world=world)
    return config.model_copy(
        update={
            "sft": SftSettings(learning_rate=1e-2, epochs=1, batch_size=12, micro_batch_size=12),
            "rl": RlSettings(
                prompts_per_step=2, group_size=4, micro_batch_size=8, max_steps=2, max_tokens=6, learning_rate=1e-3
            ),
            "evaluate": config.evaluate.model_copy(update={"max_tokens": 6}),
        }
    )
