"""Training rows as token ids and labels."""

import random

from ascl.chat.render import Renderer
from ascl.data.row import Row
from ascl.errors import InputError

IGNORED = -100


def encode_row(row: Row, renderer: Renderer) -> dict[str, list[int]]:
    """`input_ids` and `labels` of one row: labels are the ids of model tokens and -100 everywhere else.

    A row with `last_turn_only` is a sample of the split form: earlier turns are rendered as Qwen-Agent rewrites them. A
    row with `no_loss_prefix` has labels on its last turn alone, after that beginning of its thought.
    """
    try:
        ids, mask = renderer.encode(row.messages, row.tools, rewrite=row.last_turn_only, given=row.no_loss_prefix)
    except ValueError as error:
        raise InputError(f"row {row.id}: {error}") from error
    if row.last_turn_only or row.no_loss_prefix:
        start = max((i for i in range(1, len(mask)) if mask[i] and not mask[i - 1]), default=0)
        mask = [0] * start + mask[start:]
    return {"input_ids": ids, "labels": [i if m else IGNORED for i, m in zip(ids, mask, strict=True)]}


def batch_order(lengths: list[int], batch_size: int, epochs: float, seed: int) -> list[int]:
    """The order of rows over all epochs in which a batch holds rows of similar length, so that little is padded.

    Each epoch is shuffled, cut into pools of eight batches, sorted by length inside a pool, and its batches are
    shuffled again. Every row occurs once an epoch; a fraction of an epoch takes that share of its rows. A short batch
    comes last in its epoch and is filled up by the first rows of the next one, so that no other batch is torn.
    """
    generator = random.Random(seed)
    order: list[int] = []
    while epochs > 0:
        rows = list(range(len(lengths)))
        generator.shuffle(rows)
        filling, rows = rows[: -len(order) % batch_size], rows[-len(order) % batch_size :]
        pool = 8 * batch_size
        rows = [
            i
            for first in range(0, len(rows), pool)
            for i in sorted(rows[first : first + pool], key=lengths.__getitem__)
        ]
        batches = [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]
        short = batches.pop() if batches and len(batches[-1]) < batch_size else []
        generator.shuffle(batches)
        epoch = filling + [i for batch in batches for i in batch] + short
        order += epoch[: max(1, round(len(epoch) * min(1.0, epochs)))]
        epochs -= 1
    return order
