"""Benign rows by forward KL to the frozen model, harmful ones by cross-entropy (ThinkSafe, arXiv 2601.23143).

On benign rows the cross-entropy is replaced, not joined, by the full-vocabulary KL(reference || student) of every token
of the reply; the reference is the model that the training goes on from. The paper adds the two expectations with weight
1 (`equal`); arXiv 2609.04482 weights the branches by their tokens (`tokens`).
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

BLOCK = 256  # tokens whose logits are held at once


def forward_kl(reference: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """sum over v of p_v (log p_v - log q_v) in nats, of each row of logits [N, V] -> [N]; p reference, q student.

    Not negative; 0, with gradient 0, where both are the same. The gradient in the student's logits is q - p.
    """
    log_p, log_q = (logits.float().log_softmax(dim=-1) for logits in (reference, student))
    return (log_p.exp() * (log_p - log_q)).sum(dim=-1)


def branch_weights(harmful: int, benign: int, by: Literal["equal", "tokens"]) -> tuple[float, float]:
    """The weight of a token of a harmful and of a benign row, from the tokens of both in the whole set (each above 0).

    The mean over all N tokens of the weighted losses is the sum of both branches' means (`equal`: N / harmful and
    N / benign), or the mean over all tokens (`tokens`: 1 and 1).
    """
    tokens = harmful + benign
    return (tokens / harmful, tokens / benign) if by == "equal" else (1.0, 1.0)


def kl_in_blocks(
    reference: torch.Tensor,
    reference_head: Any,
    student: torch.Tensor,
    head: Any,
    divergence: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = forward_kl,
    block: int = BLOCK,
) -> torch.Tensor:
    """The sum of a divergence over tokens, of last hidden states [N, H]; logits of `block` tokens are held at once."""

    def part(before: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            logits = reference_head(before)
        return divergence(logits, head(now)).sum()

    return _in_blocks(part, reference, student, block)


def cross_entropy_in_blocks(labels: torch.Tensor, student: torch.Tensor, head: Any, block: int = BLOCK) -> torch.Tensor:
    """The sum of the cross-entropy over tokens, from labels [N] and last hidden states [N, H], in blocks likewise."""

    def part(of: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(head(now).float(), of, reduction="sum")

    return _in_blocks(part, labels, student, block)


def _in_blocks(
    part: Callable[..., torch.Tensor], given: torch.Tensor, hidden: torch.Tensor, block: int
) -> torch.Tensor:
    """The sum of `part` over blocks of tokens, each computed again in the backward pass; 0 of no token."""
    parts = [
        checkpoint(part, *both, use_reentrant=False)
        for both in zip(given.split(block), hidden.split(block), strict=True)
        if len(both[0])
    ]
    return torch.stack(parts).sum() if parts else hidden.sum() * 0
