"""Our own: the choice of mode and what is said in it are credited apart, each with its own baseline."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ascl import ranges
from ascl.train.advantages.algorithm import BaseAlgorithm
from ascl.train.advantages.group import check_group, group_std, mode_means
from ascl.train.advantages.grpo import grpo_advantages
from ascl.train.exploration import Exploration

if TYPE_CHECKING:
    from torch import Tensor


class Decoupled(BaseAlgorithm):
    """GRPO's advantage taken apart, p being the consult share of the group, mu_m the mean reward of mode m:

        within_i = (R_i - mu_{m_i}) / (std_G R + eps)                       how well i did in its mode
        mode_i   = (mu_{m_i} - mean_G R) / (std_G R + eps)                  (1-p) D for consulting, -p D for direct
                   with D = (mu_tool - mu_direct) / (std_G R + eps)

    The decision tokens (the first thought and the token after it, `train/decision.py`) choose the mode, so they get
    the mode part; the others had no say in it, and get what they did within it:

        decision_i = within_i + mode_i * (4 p (1-p))^-sharpness
        content_i  = within_i + carry * mode_i

    With sharpness 1 the gradient on the consult logit is G D / 4 whatever p is: the natural gradient of the choice
    (Fisher information p (1-p)), where GRPO's is G p (1-p) D and fades as a mode becomes rare. At balance they agree.
    sharpness 0 and carry 1 give GRPO. A group of one mode has no mode part: `stratified` exploration samples the
    missing one. within stays on the decision tokens too: a direct answer is reasoned out in its first thought.
    """

    needs = frozenset({"decision_tokens"})

    type: Literal["decoupled"] = "decoupled"
    exploration: Exploration = "stratified"
    sharpness: float = Field(default=1.0, ge=0, le=ranges.WEIGHT)
    carry: float = Field(default=0.0, ge=0, le=ranges.WEIGHT)

    def advantages(
        self, rewards: "Tensor", consulted: "Tensor", harmful: "Tensor", progress: float
    ) -> tuple["Tensor", "Tensor"]:
        """Of the decision tokens, and of all other tokens. Raises ValueError for other shapes."""
        import torch

        check_group(rewards, consulted)
        scored = ~rewards.isnan()
        size = scored.sum(dim=1, keepdim=True)
        share = (scored & consulted).sum(dim=1, keepdim=True) / size
        tool, direct = mode_means(rewards, consulted)
        difference = (tool - direct) / (group_std(rewards) + self.eps)
        mode = torch.where(consulted, (1 - share) * difference, -share * difference).nan_to_num(nan=0.0) * scored
        within = grpo_advantages(rewards, self.eps) - mode
        balance = 4 * share * (1 - share)
        balance = torch.where(balance > 0, balance, 1.0)  # one mode or none scored: there is nothing to sharpen
        return within + mode * balance**-self.sharpness, within + self.carry * mode
