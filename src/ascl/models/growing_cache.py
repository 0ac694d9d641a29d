"""A key-value cache with room to grow: a decoded token is written into it, where transformers copies the whole cache.

transformers' `DynamicLayer` joins the old keys and the new one into a new tensor at every token: on a CPU a large part
of a decoding step (benchmarks/generation.py). Here a layer is copied once in `ROOM` tokens. As in transformers'
`StaticLayer`, attention gets the empty places as well, zeros that the causal mask leaves out.
"""

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64  # tokens


class GrowingLayer(DynamicLayer):
    """A cache layer whose `keys` and `values`, [B, groups, T, d], are the first T places of larger tensors."""

    _roomy: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values, [B, groups, Q, d]; returns all of them, and after them the empty places."""
        before = self.get_seq_length()
        if not before:
            return super().update(key_states, value_states, *args, **kwargs)
        after, places = before + key_states.shape[-2], self._places(key_states.shape[-2])
        if self._roomy is None or self._room() < places:
            assert self.keys is not None and self.values is not None
            padding = (0, 0, 0, places - before)
            self._roomy = (
                torch.nn.functional.pad(self.keys, padding),
                torch.nn.functional.pad(self.values, padding),
            )
        keys, values = self._roomy
        keys[:, :, before:after], values[:, :, before:after] = key_states, value_states
        self.keys, self.values = keys[:, :, :after], values[:, :, :after]
        return keys, values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """How many places `update` will return for so many new tokens, and the first of them."""
        return self._places(query_length), 0

    def _places(self, new: int) -> int:
        before = self.get_seq_length()
        if not before:
            return new
        return self._room() if before + new <= self._room() else (before + new) // ROOM * ROOM + ROOM

    def _room(self) -> int:
        """The places there are: none where `keys` are others by now than those in the larger tensors."""
        if self._roomy is None or self.keys is None or self._roomy[0].data_ptr() != self.keys.data_ptr():
            return 0
        return self._roomy[0].shape[-2]


def growing_cache(config: Any) -> DynamicCache:
    """transformers' cache for a model of this configuration, its plain attention layers with room to grow."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
