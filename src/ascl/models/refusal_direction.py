"""The refusal direction of each layer of a model: where the states of harmful and plain prompts differ on average."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ascl.chat.messages import Message
from ascl.chat.render import Renderer
from ascl.models.activations import answer_contexts, decoder_layers, last_token_outputs

if TYPE_CHECKING:
    import torch


def refusal_directions(harmful: "torch.Tensor", plain: "torch.Tensor") -> "torch.Tensor":
    """r_l, the normalised difference of the mean states of harmful and plain prompts in each layer.

    harmful: [N, L, D], plain: [M, L, D], with N, M >= 1. Returns unit vectors, [L, D]; zero where the means are equal.
    """
    import torch

    return torch.nn.functional.normalize(harmful.mean(dim=0) - plain.mean(dim=0), dim=-1)


def layer_states(
    model: Any, name: str, renderer: Renderer, conversations: Sequence[list[Message]], batch: int
) -> "torch.Tensor":
    """The state that each layer of a model puts out where the answer begins: float32 [N, L, D] on the CPU.

    name: of the model, for messages. Raises InputError where it has no layers by that name.
    """
    import torch

    layers = {str(number): layer for number, layer in enumerate(decoder_layers(model, name))}
    contexts = answer_contexts(conversations, renderer)
    found = last_token_outputs(model, layers, contexts, renderer.end_ids[0], batch)
    return torch.stack([found[number] for number in layers], dim=1)
