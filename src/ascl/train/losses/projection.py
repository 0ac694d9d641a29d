"""The penalty of ProCon (arXiv 2509.06795): states must not drift along the refusal direction. A reconstruction.

Only the abstract could be read: the projection of each training sample's hidden state on the refusal direction is held
where it was, strongly in the warm-up. The form of the penalty, the token at which the state is taken (the last before
the model speaks), the mean over all layers and the factor of the warm-up are inferred. The paper also broadens the data
with safety rows; here that is a matter of the recipe.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

WARM_UP = 10.0  # times the weight, while the learning rate warms up


def projections(states: "torch.Tensor", directions: "torch.Tensor") -> "torch.Tensor":
    """h_l . r_l for each sample and layer. states: [B, L, D], directions: [L, D]. Returns float32 [B, L]."""
    return (states.float() * directions).sum(dim=-1)


def projection_drift(states: "torch.Tensor", directions: "torch.Tensor", reference: "torch.Tensor") -> "torch.Tensor":
    """How far the projections have drifted, a scalar.

        mean over samples and layers of  (h_l . r_l - h_l^0 . r_l)^2

    states: h, [B, L, D], of the model in training. directions: r, [L, D]. reference: h^0 . r, [B, L], of the start
    model. 0, with no gradient, where nothing has drifted.
    """
    return (projections(states, directions) - reference).square().mean()
