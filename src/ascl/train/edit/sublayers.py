"""Where a decoder writes into its residual stream: the output projections of attention and MLP in each layer."""

from typing import Any

import torch

from ascl.errors import InputError
from ascl.models.activations import decoder_layers
from ascl.models.model_folder import load_config
from ascl.train.costs import empty_model

OUTPUTS = ("self_attn.o_proj", "mlp.down_proj")


def sublayers(model: Any, name: str) -> dict[str, torch.nn.Linear]:
    """The output projections by name (`0.self_attn.o_proj`), in the order in which they run.

    name: of the model, for the message. Raises InputError where a layer lacks one (a mixture of experts, an older
    architecture), or its weights are packed.
    """
    found = {}
    for number, layer in enumerate(decoder_layers(model, name)):
        modules = dict(layer.named_modules())
        for output in OUTPUTS:
            module = modules.get(output)
            if not isinstance(module, torch.nn.Linear) or not module.weight.is_floating_point():
                raise InputError(f"model {name}: its layers have no plain linear {output}, which an edit changes")
            found[f"{number}.{output}"] = module
    return found


def check_sublayers(name: str) -> None:
    """Raise InputError where a model can't be edited. Its configuration is read, its weights are not."""
    model, _ = empty_model(load_config(name))
    sublayers(model, name)
