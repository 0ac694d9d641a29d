"""The smallest lab."""

from ascl.lab.arms import LabSettings
from ascl.train.settings import RlSettings, SftSettings

TINY = LabSettings(
    requests=24,
    plain=4,
    sums=8,
    test_requests=9,
    test_plain=2,
    test_sums=3,
    width=16,
    layers=1,
    sft=SftSettings(learning_rate=1e-2, epochs=1, batch_size=12, micro_batch_size=12),
    rl=RlSettings(prompts_per_step=2, group_size=4, micro_batch_size=8, max_steps=2, max_tokens=6, learning_rate=1e-3),
)
