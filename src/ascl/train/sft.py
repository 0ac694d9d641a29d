"""Supervised fine-tuning with TRL: loss on model tokens only, resumable, LoRA or full."""

from pathlib import Path
from typing import Any

from ascl.chat.clients.fingerprint import fingerprint, short_hash
from ascl.chat.render import Renderer
from ascl.errors import InputError
from ascl.train.checkpoints import (
    accumulation,
    callbacks,
    digest,
    finish,
    last_checkpoint,
    precision,
    same_run,
    train,
    trainable_model,
)
from ascl.train.installed import check_installed
from ascl.train.settings import Lora, SftSettings
from ascl.train.tokens import batch_order, encode_row


def run_sft(
    model: str,
    rows: list[dict[str, Any]],
    renderer: Renderer,
    out: Path,
    settings: SftSettings,
    lora: Lora | None,
    seed: int,
    dtype: str = "bfloat16",
) -> None:
    """Fine-tune `model` on `rows` and leave a loadable folder at `out` (weights, tokenizer, template).

    Checkpoints lie in `out.trainer` until the end; a run that was killed goes on from the last of them.
    Raises InputError where no row is left or a row is longer than max_length (the end of a trace is never cut), and
    where the checkpoints are of another run.
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from ascl.train.cpu import score_labelled_tokens_only

    check_installed(settings)
    score_labelled_tokens_only()
    encoded = [encode_row(row, renderer) for row in rows]
    if not encoded:
        raise InputError("SFT: the training set is empty")
    lengths = [len(row["input_ids"]) for row in encoded]
    if max(lengths) > settings.max_length:
        longest = rows[lengths.index(max(lengths))]["id"]
        raise InputError(f"SFT: row {longest} has {max(lengths)} tokens; raise sft.max_length")
    micro_batch_size = min(settings.micro_batch_size, settings.batch_size)
    order = batch_order(lengths, micro_batch_size, settings.epochs, seed)
    work = out.with_name(f"{out.name}.trainer")
    arguments = SFTConfig(
        output_dir=str(work),
        learning_rate=settings.learning_rate,
        num_train_epochs=1,  # the order below holds every epoch
        train_sampling_strategy="sequential",
        per_device_train_batch_size=micro_batch_size,
        gradient_accumulation_steps=accumulation(settings.batch_size, micro_batch_size),
        warmup_steps=settings.warmup,
        lr_scheduler_type="cosine",
        max_length=None,
        save_steps=settings.save_steps,
        save_total_limit=2,
        logging_steps=1,
        report_to=settings.report_to,
        disable_tqdm=True,
        seed=seed,
        gradient_checkpointing=settings.gradient_checkpointing,
        dataloader_pin_memory=False,
        **precision(dtype),
    )
    same_run(
        work,
        {
            "model": model,
            "weights": fingerprint(model),
            "chat template": short_hash(renderer.dialect.template),
            "rows": digest(rows),
            "settings": settings.model_dump(mode="json"),
            "lora": lora.model_dump(mode="json") if lora else None,
            "seed": seed,
            "dtype": dtype,
        },
    )
    trainer = SFTTrainer(
        model=trainable_model(model, dtype, lora, seed),
        args=arguments,
        train_dataset=Dataset.from_list([encoded[i] for i in order]),
        processing_class=renderer.tokenizer,
        callbacks=callbacks(out.name),
    )
    train(trainer, last_checkpoint(work))
    finish(trainer, renderer, out, work, dtype)
