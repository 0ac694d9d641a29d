"""What modules of a model put out at the last token of each context, read by hooks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ascl.chat.messages import Message, Opening
from ascl.chat.render import Renderer
from ascl.errors import InputError
from ascl.models.models import inside_adapters

if TYPE_CHECKING:
    import torch

NO_THOUGHT = Opening("", closed=True)  # thinking off


def answer_contexts(conversations: Sequence[list[Message]], renderer: Renderer) -> list[list[int]]:
    """The ids of each conversation up to where the answer begins: after an empty thought, without tools."""
    opening = renderer.opening_ids(NO_THOUGHT)
    return [renderer.prompt_ids(messages, []) + opening for messages in conversations]


def decoder_layers(model: Any, name: str) -> list["torch.nn.Module"]:
    """The layers of a model's decoder, adapters or not. Raises InputError, naming the model, where there are none."""
    layers = list(getattr(inside_adapters(model).get_decoder(), "layers", ()))
    if not layers:
        raise InputError(f"model {name}: its decoder has no `layers`")
    return layers


def last_token_outputs(
    model: Any, modules: Mapping[str, "torch.nn.Module"], contexts: Sequence[Sequence[int]], filler: int, batch: int
) -> dict[str, "torch.Tensor"]:
    """The output of each module at the last token of each context: float32 [contexts, width] on the CPU, by name.

    filler: a token id for the places that the mask leaves out. batch: contexts read at once.
    """
    import torch

    training = model.training
    model.eval()
    parts = []
    try:
        with torch.no_grad():
            for first in range(0, len(contexts), batch):
                found = read_outputs(model, modules, contexts[first : first + batch], filler)
                parts.append({name: states.float().cpu() for name, states in found.items()})
    finally:
        model.train(training)
    return {name: torch.cat([part[name] for part in parts]) for name in modules}


def read_outputs(
    model: Any, modules: Mapping[str, "torch.nn.Module"], contexts: Sequence[Sequence[int]], filler: int
) -> dict[str, "torch.Tensor"]:
    """`last_token_outputs` of one batch, padded on the left, as the model is: with gradients, in its own dtype."""
    import torch

    width = max(map(len, contexts))
    missing = [width - len(context) for context in contexts]
    ids = torch.tensor([[filler] * n + list(context) for n, context in zip(missing, contexts, strict=True)])
    mask = torch.tensor([[0] * n + [1] * (width - n) for n in missing])
    device = next(model.parameters()).device
    with _kept(modules) as found:
        model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=(mask.cumsum(dim=-1) - 1).clamp(min=0).to(device),
            use_cache=False,
            logits_to_keep=1,
        )
    return found


@contextmanager
def _kept(modules: Mapping[str, "torch.nn.Module"]) -> Iterator[dict[str, "torch.Tensor"]]:
    found: dict[str, torch.Tensor] = {}

    def keep(name: str, module: Any, given: Any, output: Any) -> None:
        found[name] = (output[0] if isinstance(output, tuple) else output)[:, -1]

    hooks = [module.register_forward_hook(partial(keep, name)) for name, module in modules.items()]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
