"""Read contexts into a key-value cache before sampling; what several of them begin with is read once.

The rollouts of a group begin with one prompt, those under one rule book with one system text. On a CPU, reading these
again for every row costs more than sampling the answers (benchmarks/rollout.py).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache

    Read = tuple[torch.Tensor, DynamicCache, torch.Tensor]

LEAST = 64  # ids that contexts must have in common to be read together
Part = tuple[list[tuple[int, ...]], int]  # contexts, and how many ids they begin with alike that are read once


def read(model: Any, contexts: Sequence[Sequence[int]], filler: int) -> "Read":
    """The scores [B, V] after every context, the cache of all of them, and its mask [B, T] (0 where nothing is).

    filler: a token id for the places that the mask leaves out. A context that comes more than once is read once.
    """
    import torch

    parts = _parts(model, sorted(set(map(tuple, contexts))))
    scores, cache, mask = _joined(model, [_read_part(model, part, filler) for part in parts])
    place = {context: i for i, context in enumerate(context for part, _ in parts for context in part)}
    rows = torch.tensor([place[tuple(context)] for context in contexts], device=model.device)
    cache.batch_select_indices(rows)
    return scores[rows], cache, mask[rows]


def shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids two contexts begin with alike."""
    pairs = zip(first, second, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def _parts(model: Any, contexts: list[tuple[int, ...]]) -> list[Part]:
    """Sorted contexts, cut where neighbours share little; those that share with none are one part.

    They are cut as well where a part that went on would share less, so that its contexts read more of what they have in
    common again than a new part reads of it: the groups of an RL step share a system text, and each its prompt besides.
    On a GPU one pass over all is faster than several, and other caches than plain ones can't be joined.
    """
    from ascl.models.growing_cache import GrowingLayer, growing_cache

    if model.device.type != "cpu" or any(
        type(layer) is not GrowingLayer for layer in growing_cache(model.config).layers
    ):
        return [(contexts, 0)]
    parts: list[Part] = [([contexts[0]], 0)]
    for before, context in pairwise(contexts):
        shared = min(shared_length(before, context), len(before) - 1, len(context) - 1)
        together, least = parts[-1]
        if shared >= LEAST and len(together) * ((least or shared) - shared) <= shared:
            parts[-1] = ([*together, context], min(shared, least or shared))
        else:
            parts.append(([context], 0))
    alone = [together[0] for together, shared in parts if not shared]
    return [part for part in parts if part[1]] + ([(alone, 0)] if alone else [])


def _read_part(model: Any, part: Part, filler: int) -> "Read":
    """What they share once, then the rest of each, padded on the left."""
    import torch

    from ascl.models.growing_cache import growing_cache

    contexts, shared = part
    cache, device = growing_cache(model.config), model.device
    if shared:
        beginning = torch.tensor([contexts[0][:shared]], device=device)
        model.get_decoder()(input_ids=beginning, past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(len(contexts))
    width = max(map(len, contexts))
    missing = [width - len(context) for context in contexts]
    ids = [[filler] * n + list(context[shared:]) for n, context in zip(missing, contexts, strict=True)]
    kept = [[1] * shared + [0] * n + [1] * (width - shared - n) for n in missing]
    mask = torch.tensor(kept, device=device)
    output = model(
        input_ids=torch.tensor(ids, device=device),
        attention_mask=mask,
        position_ids=(mask.cumsum(dim=-1) - 1).clamp(min=0)[:, shared:],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return output.logits[:, -1], cache, mask


def _joined(model: Any, parts: list["Read"]) -> "Read":
    """The parts as one batch, the shorter ones padded on the left."""
    import torch
    from torch.nn.functional import pad

    from ascl.models.growing_cache import growing_cache

    if len(parts) == 1:
        return parts[0]
    width = max(mask.shape[1] for _, _, mask in parts)
    joined = growing_cache(model.config)
    layers: list[Any] = joined.layers
    for layer, of_parts in zip(layers, zip(*(cache.layers for _, cache, _ in parts), strict=True), strict=True):
        before = [(0, 0, width - one.get_seq_length(), 0) for one in of_parts]
        keys = torch.cat([pad(one.keys, by) for one, by in zip(of_parts, before, strict=True)])
        values = torch.cat([pad(one.values, by) for one, by in zip(of_parts, before, strict=True)])
        layer.update(keys, values)
    masks = [pad(mask, (width - mask.shape[1], 0)) for _, _, mask in parts]
    return torch.cat([scores for scores, _, _ in parts]), joined, torch.cat(masks)
