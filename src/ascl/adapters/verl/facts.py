"""What an estimator must know about a batch's rollouts and verl does not hand it, and how it gets there.

verl 0.9.1 gives an estimator rewards, mask, config and group ids, nothing else. `trainer.py` knows more: it names the
facts for the time of verl's own call, in the same process and thread.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Facts:
    """Of every row of a batch, in its order.

    consulted: bool [rows], a tool result stands in the trajectory (a fault is none). harmful: bool [rows], the prompt's
    kind. decision_length: int [rows], how many of the response's first tokens choose the mode (`train/decision.py`;
    zeros where the algorithm does not ask). progress: the share of the training that is done, in [0, 1].
    """

    consulted: "torch.Tensor"
    harmful: "torch.Tensor"
    decision_length: "torch.Tensor"
    progress: float


_known: ContextVar[Facts | None] = ContextVar("ascl_facts", default=None)


@contextmanager
def known(facts: Facts) -> Iterator[None]:
    """Within the block, the estimators see these facts."""
    token = _known.set(facts)
    try:
        yield
    finally:
        _known.reset(token)


def known_facts() -> Facts | None:
    """The facts of the batch at hand, or None outside of `known`."""
    return _known.get()


def interior_zeros(response_mask: "torch.Tensor") -> "torch.Tensor":
    """Whether each row has a 0 between two of its 1s: bool [rows]. response_mask: 0/1 [rows, tokens].

    The only sign of a tool result that verl hands an estimator. It can't tell a result from a fault's error message,
    and it misses a result after which the budget left no room for a model token.
    """
    mask = response_mask.bool()
    before = mask.cumsum(dim=1) > 0
    behind = mask.flip(1).cumsum(dim=1).flip(1) > 0
    return (before & behind & ~mask).any(dim=1)
