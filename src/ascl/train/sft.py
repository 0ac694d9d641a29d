"""Supervised fine-tuning with TRL: loss on model tokens only, resumable, LoRA or full."""

from collections.abc import Sequence
from typing import Any

from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Row
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
from ascl.train.settings import SftSettings
from ascl.train.tokens import IGNORED, batch_order, encode_row
from ascl.train.training import Training


def run_sft(training: Training, rows: list[Row], settings: SftSettings, prompts: Sequence[Prompt] = ()) -> None:
    """Fine-tune a model on `rows` and leave a loadable folder at `training.out` (weights, tokenizer, template).

    A run that was killed goes on from the last whole checkpoint in `training.work`. Raises InputError where no row is
    left or a row is longer than max_length (the end of a trace is never cut), where the loss of benign rows is one of
    its own and a branch has no rows, and where the checkpoints are of another run.

    prompts: harmful and plain ones, with which `sft.projection` finds the refusal direction.
    """
    from datasets import Dataset
    from trl import SFTConfig

    from ascl.train.cpu import fit_trl_to_cpu

    check_installed(settings)
    fit_trl_to_cpu()
    encoded: list[dict[str, Any]] = [encode_row(row, training.renderer) for row in rows]
    if not encoded:
        raise InputError("SFT: the training set is empty")
    lengths = [len(row["input_ids"]) for row in encoded]
    if max(lengths) > settings.max_length:
        longest = rows[lengths.index(max(lengths))].id
        raise InputError(f"SFT: row {longest} has {max(lengths)} tokens; raise sft.max_length")
    weights = None if settings.benign_loss == "cross_entropy" else _mark_branches(rows, encoded, settings)
    micro_batch_size = min(settings.micro_batch_size, settings.batch_size)
    order = batch_order(lengths, micro_batch_size, settings.epochs, training.seed)
    arguments = SFTConfig(
        **trainer_arguments(settings, training.work, training.seed, training.dtype),
        **batch_arguments(settings.batch_size, micro_batch_size),
    )
    facts = {"rows": digest([row.dump() for row in rows]), "settings": settings.model_dump(mode="json")}
    same_run(training.work, training.facts() | facts)
    given: dict[str, Any] = {
        "model": trainable_model(training),
        "args": arguments,
        "train_dataset": Dataset.from_list([encoded[i] for i in order]),
        "processing_class": training.renderer.tokenizer,
        "callbacks": callbacks(training.out.name),
    }
    trainer = _trainer(given, training, settings, weights, encoded, prompts)
    train(trainer, last_checkpoint(training.work))
    tools = next((row.tools for row in rows if row.tools), [])
    recipes = sorted({row.recipe for row in rows if row.recipe})
    data = f"{len(rows)} rows" + (f" of the recipe {', '.join(recipes)}" if recipes else "")
    finish(trainer, training, {"method": "sft", "data": data, "tools": tools})


def _mark_branches(rows: list[Row], encoded: list[dict[str, Any]], settings: SftSettings) -> tuple[float, float]:
    """Mark the benign rows, in place, and weigh a token of each branch. Raises InputError where one has no row."""
    from ascl.train.losses.forward_kl import branch_weights

    needs = f"sft.benign_loss: {settings.benign_loss} needs"
    tokens = {True: 0, False: 0}
    for row, one in zip(rows, encoded, strict=True):
        if row.kind is None:
            raise InputError(f"{needs} the kind of every row, and row {row.id} has none")
        one["benign"] = row.kind is not Kind.HARMFUL
        tokens[one["benign"]] += sum(label != IGNORED for label in one["labels"][1:])
    for benign, name in ((True, "benign"), (False, "harmful")):
        if not tokens[benign]:
            raise InputError(f"{needs} harmful and benign rows, and this set has no {name} ones")
    return branch_weights(tokens[False], tokens[True], settings.branch_weights)


def _trainer(
    given: dict[str, Any],
    training: Training,
    settings: SftSettings,
    weights: tuple[float, float] | None,
    encoded: list[dict[str, Any]],
    prompts: Sequence[Prompt],
) -> Any:
    """TRL's trainer, or the one whose loss the settings ask for. weights: of the two branches, where they are apart."""
    if weights is not None:
        from ascl.train.kl_sft import KlTrainer

        return KlTrainer(training=training, weights=weights, **given)
    if settings.projection:
        from ascl.train.projected import ProjectedTrainer, start_projection

        start = start_projection(given["model"], training, encoded, prompts, settings.projection)
        return ProjectedTrainer(projection=start, **given)
    from trl import SFTTrainer

    return SFTTrainer(**given)
