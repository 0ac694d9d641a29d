"""IPS-GRPO: rewards divided by how frequent their mode is in the group (arXiv 2601.21669)."""

from typing import TYPE_CHECKING, Literal

from ascl.train.advantages.algorithm import BaseAlgorithm
from ascl.train.advantages.group import check_group
from ascl.train.advantages.grpo import grpo_advantages

if TYPE_CHECKING:
    from torch import Tensor


class IpsGrpo(BaseAlgorithm):
    """GRPO's advantage of the scaled rewards

        r'_i = R_i / (N_{m_i} / G)

    where m_i is rollout i's mode (consulted or direct) and N_m the number of rollouts of mode m in the group of G. An
    unscored rollout counts as a member of its mode. A group of one mode is GRPO.

    Sure, from the paper's abstract: the learning signal is divided by the probability of the outcome, GRPO is
    otherwise as it was, and outcomes then settle in proportion to their rewards, not on the best one. Our reading,
    after its abstract and code by others: the probability is the outcome's share in the group, and it divides the
    reward before mean and standard deviation are taken (code that cites equation 9 of the paper does so; other code
    weighs the finished advantage). An outcome is a mode here; the paper's are what a rollout comes to, such as its
    answer. A mode that is there has a share of at least 1/G, so no lower bound is needed.

    This is Ada-GRPO with a scale that never fades (`ada_grpo.py` at progress 0): the rare mode gains even where all
    rewards are equal. IFPO weighs the finished advantage, which changes no sign.
    """

    type: Literal["ips_grpo"] = "ips_grpo"

    def advantages(
        self, rewards: "Tensor", consulted: "Tensor", harmful: "Tensor", progress: float
    ) -> tuple["Tensor", "Tensor"]:
        """For all tokens alike. Raises ValueError for other shapes."""
        check_group(rewards, consulted)
        size = rewards.shape[1]
        tool = consulted.sum(dim=1, keepdim=True)
        found = grpo_advantages(rewards * size / (consulted * tool + ~consulted * (size - tool)), self.eps)
        return found, found
