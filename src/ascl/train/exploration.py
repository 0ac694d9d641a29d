"""Which of several candidates for a place in a group is taken, so that a rare mode is seen as well.

A place in a group may want a mode: AdaptThink (arXiv 2505.13417) wants half of each group in either, `stratified` one
rollout of each and leaves the others free. For a place that wants a mode several first turns are sampled, and the first
one of that mode is taken (else the first of all). So every rollout is one the model would have said itself.

Deviation from AdaptThink: it forces the first token, which is its mode; here a mode is a thought and a call, and
cutting one off to force the other would train on text that contradicts itself.
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Exploration = Literal["none", "half", "stratified"]


def wanted_mode(exploration: Exploration, place: int) -> bool | None:
    """The mode a place of the group wants: True consulting, False direct, None either."""
    if exploration == "half" or (exploration == "stratified" and place < 2):
        return place % 2 == 0
    return None


def first_of(modes: list[bool], wanted: bool | None) -> int:
    """Which candidate is taken: the first one of the wanted mode, else the first."""
    return modes.index(wanted) if wanted is not None and wanted in modes else 0


def behaviour_share(share: "torch.Tensor", candidates: int, exploration: Exploration, size: int) -> "torch.Tensor":
    """How likely a rollout of a group consults when its places choose among candidates.

        b = (1/G) sum over places of  1 - (1-p)^k  (wants consulting),  p^k  (wants direct),  p  (wants neither)

    share: p, the model's own consult rate, float [..]; candidates: k; size: G. Returns b, float [..].
    """
    import torch

    chances = {True: 1 - (1 - share) ** candidates, False: share**candidates, None: share}
    return torch.stack([chances[wanted_mode(exploration, place)] for place in range(size)]).mean(dim=0)


def mode_log_ratio(share: "torch.Tensor", behaviour: "torch.Tensor", consulted: "torch.Tensor") -> "torch.Tensor":
    """log b(m) / p(m) of each rollout's mode m: what its old log-probability is off by, on the token that chose.

    share, behaviour: float [groups, 1] in (0, 1), the consult rates of the model and of the sampling. consulted: bool
    [groups, G]. Returns float [groups, G]. The policy ratio of that token then is p(m) / b(m) instead of 1.
    """
    import torch

    tool = torch.log(behaviour / share)
    direct = torch.log((1 - behaviour) / (1 - share))
    return torch.where(consulted, tool, direct)
