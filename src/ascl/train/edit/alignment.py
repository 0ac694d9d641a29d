"""Which output projections are changed, and how: the formulas of LLM-VA (arXiv 2601.19487) on plain tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ascl.train.edit.svm import svm_normal


class Edit(NamedTuple):
    """A change of a projection of rank one: `answered` is v_a, `change` is (sigma_a / sigma_b) v_b - v_a; both [D]."""

    answered: torch.Tensor
    change: torch.Tensor


def aligned(tensor: torch.Tensor, edit: Edit) -> torch.Tensor:
    """A projection's weight [D, in] or bias [D] after an edit, in its own dtype (calculated in float32).

        W' = (I + v_a ((sigma_a / sigma_b) v_b - v_a)^T) W

    The paper writes W'= W + ((sigma_a/sigma_b) W v_b - W v_a) v_a^T for a W that maps rows, o = x W; torch's Linear
    holds its transpose, o = W x + b. So for every input, with |v_a| = 1,

        o' . v_a = (sigma_a / sigma_b) o . v_b        and        o' . u = o . u   for each u orthogonal to v_a:

    along v_a, where "answered" was read, the output now says how benign the prompt is, in the spread that v_a had.
    """
    held = tensor.float()
    answered, change = edit.answered.to(held), edit.change.to(held)
    moved = change @ held
    return (held + (answered[:, None] * moved if held.dim() == 2 else answered * moved)).to(tensor.dtype)


@dataclass(frozen=True)
class Labelled:
    """Prompts with their labels, each bool [N]. held_out: for validation, not for the directions."""

    benign: torch.Tensor
    answered: torch.Tensor
    held_out: torch.Tensor


class _Direction(NamedTuple):
    normal: torch.Tensor
    spread: float
    accuracy: float


def _direction(outputs: torch.Tensor, label: torch.Tensor, held_out: torch.Tensor) -> _Direction:
    """The unit normal of the SVM, the standard deviation of the projections on it, its accuracy on held-out prompts."""
    outputs = outputs.double()
    normal = svm_normal(outputs[~held_out], label[~held_out])
    normal = normal / normal.norm().clamp(min=torch.finfo(torch.float64).tiny)
    spread = float((outputs[~held_out] @ normal).std())
    accuracy = float((((outputs[held_out] @ normal) > 0) == label[held_out]).double().mean())
    return _Direction(normal, spread, accuracy)


def plan_edits(
    outputs: Mapping[str, torch.Tensor], residual: torch.Tensor, labels: Labelled, share: float
) -> dict[str, Edit]:
    """The edits of the sub-layers that count most, by name.

    outputs: of each sub-layer at the last prompt token, [N, D]. residual: the final residual stream there, [N, D].
    share: of the sub-layers; at least one is taken. A sub-layer's score is

        C_a Acc_a + C_b Acc_b

    C: the cosine of its direction with the same direction in the final residual stream; Acc: its SVM's accuracy on the
    held-out prompts. The training prompts must hold both classes of each label, and there must be held-out prompts.
    """
    final = [_direction(residual, label, labels.held_out) for label in (labels.answered, labels.benign)]
    scores, edits = {}, {}
    for name, found in outputs.items():
        answered, benign = (_direction(found, label, labels.held_out) for label in (labels.answered, labels.benign))
        scores[name] = sum(
            float(one.normal @ whole.normal) * one.accuracy
            for one, whole in zip((answered, benign), final, strict=True)
        )
        ratio = answered.spread / max(benign.spread, torch.finfo(torch.float64).tiny)
        edits[name] = Edit(answered.normal.float(), (ratio * benign.normal - answered.normal).float())
    best = sorted(scores, key=scores.__getitem__, reverse=True)[: max(1, round(share * len(scores)))]
    return {name: edits[name] for name in outputs if name in best}
