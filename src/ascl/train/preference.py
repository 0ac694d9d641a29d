"""Preference optimisation with TRL's DPOTrainer: DPO on the tokens after the beginning that two replies share.

IPO (arXiv 2509.24393): a corrected thought is preferred over the unsafe one it was made of. Both hold the prompt x and
the beginning of the thought h up to the intervention; the loss falls on what comes after, y+ and y-:

    - log sigmoid(beta * [log pi(y+ | x, h) / ref(y+ | x, h) - log pi(y- | x, h) / ref(y- | x, h)])
    + sft_weight * mean over the tokens of y+ of - log pi

`ref` is the model that the training goes on from. h belongs to what TRL calls the prompt, so the loss is TRL's own; for
pairs without a shared beginning it is plain DPO. Adapters are trained without dropout. Deviations: the paper names
neither beta nor learning rate; the second mean is over the tokens of a micro-batch.
"""

import os
from itertools import takewhile
from typing import Any

from ascl.chat.render import Renderer
from ascl.data.row import Pair
from ascl.errors import InputError
from ascl.train.checkpoints import (
    batch_arguments,
    callbacks,
    digest,
    finish,
    last_checkpoint,
    same_run,
    train,
    trainable_model,
    trainer_arguments,
)
from ascl.train.installed import check_installed
from ascl.train.settings import PreferenceSettings
from ascl.train.tokens import batch_order
from ascl.train.training import Training


def encode_pair(pair: Pair, renderer: Renderer) -> dict[str, list[int]]:
    """`prompt_ids`, `chosen_ids` and `rejected_ids` of a pair, as TRL names them.

    The prompt ends where one of the replies begins to carry loss (after the shared beginning of its thought), or
    before, where the ids of the two part; a reply ends with its end of turn. Raises InputError where a thought begins
    otherwise, where the replies are the same, and where one of them has no ids left.
    """
    sides = []
    for reply in (pair.chosen, pair.rejected):
        try:
            ids, mask = renderer.encode([*pair.prompt, *reply], [], given=pair.shared_prefix)
        except ValueError as error:
            raise InputError(f"pair {pair.id}: {error}") from error
        last = max(i for i in range(len(mask)) if mask[i])
        sides.append((ids[: last + 1], max(i for i in range(1, len(mask)) if mask[i] and not mask[i - 1])))
    (chosen, first), (rejected, other) = sides
    same = sum(1 for _ in takewhile(lambda two: two[0] == two[1], zip(chosen, rejected, strict=False)))
    end = min(first, other, same)
    if chosen == rejected or end in (len(chosen), len(rejected)):
        raise InputError(f"pair {pair.id}: the chosen and the rejected reply do not differ")
    return {"prompt_ids": chosen[:end], "chosen_ids": chosen[end:], "rejected_ids": rejected[end:]}


def run_preference(training: Training, pairs: list[Pair], settings: PreferenceSettings) -> None:
    """Train a model on `pairs` and leave a loadable folder at `training.out`; a killed run goes on, as in `run_sft`.

    Raises InputError where there is no pair or one is longer than max_length, and where the checkpoints are of another
    run.
    """
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from ascl.train.cpu import fit_trl_to_cpu

    class Encoded(DPOTrainer):
        """Takes pairs that are token ids already: TRL's own templates know nothing of a shared beginning."""

        def _prepare_dataset(self, dataset: Any, *others: Any) -> Any:
            return dataset

    check_installed(settings)
    fit_trl_to_cpu()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("preference: it trains in one process, not in several")
    if not pairs:
        raise InputError("preference: there is no pair to train on")
    encoded = [encode_pair(pair, training.renderer) for pair in pairs]
    lengths = [len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"])) for row in encoded]
    if max(lengths) > settings.max_length:
        longest = pairs[lengths.index(max(lengths))].id
        raise InputError(f"preference: pair {longest} has {max(lengths)} tokens; raise preference.max_length")
    micro_batch_size = min(settings.micro_batch_size, settings.batch_size)
    order = batch_order(lengths, micro_batch_size, settings.epochs, training.seed)
    arguments = DPOConfig(
        **trainer_arguments(settings, training.work, training.seed, training.dtype),
        **batch_arguments(settings.batch_size, micro_batch_size),
        loss_type=["sigmoid", "sft"],
        loss_weights=[1.0, settings.sft_weight],
        beta=settings.beta,
        precompute_ref_log_probs=True,
    )
    facts = {"pairs": digest([pair.dump() for pair in pairs]), "settings": settings.model_dump(mode="json")}
    same_run(training.work, training.facts() | facts)
    model = trainable_model(training)
    trainer = Encoded(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([encoded[i] for i in order]),
        processing_class=training.renderer.tokenizer,
        callbacks=callbacks(training.out.name),
    )
    if "ref" in getattr(model, "peft_config", {}):  # TRL's copy of the adapters, which has read its pairs
        model.delete_adapter("ref")
    train(trainer, last_checkpoint(training.work))
    recipes = sorted({pair.recipe for pair in pairs if pair.recipe})
    data = f"{len(pairs)} pairs" + (f" of the recipe {', '.join(recipes)}" if recipes else "")
    finish(trainer, training, {"method": "preference", "data": data, "tools": []})
