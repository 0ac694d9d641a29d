"""AdaptThink (arXiv 2505.13417) with the modes consult and direct: half of each group is sampled in each mode."""

from typing import TYPE_CHECKING

from ascl.train.advantages.group import check_group
from ascl.train.advantages.grpo import grpo_advantages

if TYPE_CHECKING:
    import torch


def adaptthink_advantages(
    rewards: "torch.Tensor", consulted: "torch.Tensor", delta: float = 0.0, eps: float = 1e-4
) -> "torch.Tensor":
    """GRPO's advantage of R_i + delta * [i answered directly], on groups sampled half in each mode.

    The halves come from `train/exploration.py`, which also corrects the old log-probabilities; without them and with
    delta 0 this is GRPO. rewards: float [groups, G], NaN unscored. consulted: bool [groups, G].
    Returns float [groups, G]. Raises ValueError for other shapes.

    Deviations: the baseline is the group's mean, not a reference model's (which would have to be sampled as well), and
    the result is divided by the group's standard deviation like all others here. delta is the paper's bonus for the
    cheap mode; it is 0 here because consulting is not a cost in the reward.
    """
    check_group(rewards, consulted)
    return grpo_advantages(rewards + delta * ~consulted, eps)
