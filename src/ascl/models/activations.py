"""What modules of a model put out at the last token of each context, read by hooks."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def last_token_outputs(
    model: Any, modules: Mapping[str, "torch.nn.Module"], contexts: Sequence[Sequence[int]], filler: int, batch: int
) -> dict[str, "torch.Tensor"]:
    """The output of each module at the last token of each context: float32 [contexts, width] on the CPU, by name.

    filler: a token id for the places that the mask leaves out. batch: contexts read at once, padded on the left.
    """
    import torch

    found: dict[str, list[torch.Tensor]] = {name: [] for name in modules}

    def keep(name: str, module: Any, given: Any, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output
        found[name].append(states[:, -1].float().cpu())

    training = model.training
    model.eval()
    try:
        with ExitStack() as hooks, torch.no_grad():
            for name, module in modules.items():
                hooks.callback(module.register_forward_hook(partial(keep, name)).remove)
            for first in range(0, len(contexts), batch):
                _read(model, contexts[first : first + batch], filler)
    finally:
        model.train(training)
    return {name: torch.cat(parts) for name, parts in found.items()}


def _read(model: Any, contexts: Sequence[Sequence[int]], filler: int) -> None:
    import torch

    width = max(map(len, contexts))
    missing = [width - len(context) for context in contexts]
    ids = torch.tensor([[filler] * n + list(context) for n, context in zip(missing, contexts, strict=True)])
    mask = torch.tensor([[0] * n + [1] * (width - n) for n in missing])
    model(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        position_ids=(mask.cumsum(dim=-1) - 1).clamp(min=0).to(model.device),
        use_cache=False,
        logits_to_keep=1,
    )
