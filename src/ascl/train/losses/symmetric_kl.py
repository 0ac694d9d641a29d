"""What on-policy self-distillation minimises on every token of the student's own reply (OPSA, arXiv 2605.15239)."""

import torch

from ascl.train.losses.forward_kl import forward_kl


def symmetric_kl(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """(KL(p || q) + KL(q || p)) / 2 in nats, of each row of logits [N, V] -> [N]; p teacher, q student.

    The whole vocabulary is summed over. Not negative, the same with p and q exchanged, and 0, with gradient 0, where
    both are the same.
    """
    return (forward_kl(teacher, student) + forward_kl(student, teacher)) / 2
