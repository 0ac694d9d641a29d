"""On a CPU, read what the rows of a micro-batch begin with once, forward and backward.

The rollouts of a group share their prompt, the rows of a cloning batch their system text: half of their tokens and
more. The beginning goes through the decoder as one row; every row then goes on from its keys and values, through which
the gradient comes back. Hidden states and gradients are the same to rounding.
"""

from typing import Any

import torch

from ascl.models.models import inside_adapters

LEAST = 16  # places that rows must have in common


def share_prefixes(model: Any) -> None:
    """Make the decoder of a causal language model share what its rows begin with. Nothing is changed on a GPU."""
    if torch.cuda.is_available():
        return
    decoder = inside_adapters(model).get_decoder()
    whole = decoder.forward

    def forward(
        input_ids: torch.Tensor | None = None, attention_mask: torch.Tensor | None = None, **others: Any
    ) -> Any:
        checkpointing = decoder.training and decoder.gradient_checkpointing  # keeps no keys and values
        asked = any(value is not None and value is not False for value in others.values())
        if input_ids is None or attention_mask is None or asked or checkpointing:
            return whole(input_ids=input_ids, attention_mask=attention_mask, **others)
        first, end = common_places(input_ids, attention_mask)
        if end - first < LEAST:
            return whole(input_ids=input_ids, attention_mask=attention_mask, **others)
        beginning = whole(input_ids=input_ids[:1, first:end], use_cache=True)
        beginning.past_key_values.batch_repeat_interleave(len(input_ids))
        output = whole(
            input_ids=input_ids[:, end:],
            attention_mask=attention_mask[:, first:],
            past_key_values=beginning.past_key_values,
            use_cache=True,
        )
        shared = torch.nn.functional.pad(beginning.last_hidden_state, (0, 0, first, 0))
        hidden = torch.cat([shared.expand(len(input_ids), -1, -1), output.last_hidden_state], dim=1)
        return type(output)(last_hidden_state=hidden)

    decoder.forward = forward


def common_places(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[int, int]:
    """The first and the end of the places that all rows, [B, T], have in common, after the filling on the left.

    The last place is left to the rows, and one row shares with none.
    """
    first = int((attention_mask[0].cumsum(dim=0) == 0).sum())
    same = ((input_ids == input_ids[0]) & (attention_mask == attention_mask[0])).all(dim=0)
    if len(input_ids) == 1 or not same[:first].all():
        return first, first
    both = (same & attention_mask[0].bool())[first:-1]
    return first, first + int(both.long().cumprod(dim=0).sum())
