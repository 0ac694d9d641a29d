"""The one switch between the estimators."""

from typing import TYPE_CHECKING, Literal

from ascl.train.advantages.ada_grpo import ada_grpo_advantages
from ascl.train.advantages.adaptthink import adaptthink_advantages
from ascl.train.advantages.ampo import ampo_advantages
from ascl.train.advantages.consult_penalty import consult_penalty_advantages
from ascl.train.advantages.dr_grpo import dr_grpo_advantages
from ascl.train.advantages.grpo import grpo_advantages
from ascl.train.advantages.ifpo import ifpo_advantages
from ascl.train.advantages.split import split_advantages

if TYPE_CHECKING:
    import torch

    from ascl.train.settings import RlSettings

Algorithm = Literal["grpo", "ifpo", "dr_grpo", "ada_grpo", "ampo", "adaptthink", "consult_penalty", "split"]


def advantages_of(
    algorithm: Algorithm,
    settings: "RlSettings",
    rewards: "torch.Tensor",
    consulted: "torch.Tensor",
    sensitive: "torch.Tensor",
    progress: float,
    eps: float = 1e-4,
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """The advantages of each rollout's decision tokens and of its other tokens: float [groups, G] each.

    They are one and the same for every algorithm but `split`. rewards: float [groups, G], NaN where no judge could
    score. consulted: bool [groups, G]. sensitive: bool [groups, G], true where the prompt is not a harmful one.
    progress: the share of the training that is behind us, in [0, 1]. eps: added to the standard deviation.
    """
    if algorithm == "split":
        return split_advantages(rewards, consulted, settings.sharpness, settings.carry, eps)
    if algorithm == "grpo":
        both = grpo_advantages(rewards, eps)
    elif algorithm == "ifpo":
        both = ifpo_advantages(rewards, consulted, settings.tau, settings.w_min, settings.w_max, eps)
    elif algorithm == "dr_grpo":
        both = dr_grpo_advantages(rewards)
    elif algorithm == "ada_grpo":
        both = ada_grpo_advantages(rewards, consulted, progress, eps)
    elif algorithm == "ampo":
        both = ampo_advantages(rewards, consulted, settings.mode_weight, eps)
    elif algorithm == "adaptthink":
        both = adaptthink_advantages(rewards, consulted, settings.delta, eps)
    else:
        both = consult_penalty_advantages(rewards, consulted, sensitive, settings.penalty, eps)
    return both, both
