"""What SFT and RL share about a trainer's life: LoRA, precision, checkpoints that survive a kill, the final folder."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerCallback

from ascl.errors import InputError
from ascl.files import json_line, write_json, write_text
from ascl.folders import working_in
from ascl.inputs import read_json
from ascl.models.models import load_model
from ascl.progress import progress_bar
from ascl.provenance import changes
from ascl.saved import read_saved
from ascl.train.portable import write_facts
from ascl.train.settings import DistillSettings, PreferenceSettings, RlSettings, SftSettings
from ascl.train.shared_prefix import share_prefixes
from ascl.train.training import LOG, ROLLOUTS, Training


class ShowProgress(TrainerCallback):
    """One progress bar with time left, in place of the Trainer's own lines."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.bars = ExitStack()
        self.report: Callable[[int], None] = lambda done: None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar, at the step a resumed run goes on from."""
        if state.is_world_process_zero:
            self.report = self.bars.enter_context(progress_bar(self.title, state.max_steps))
            self.report(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar."""
        self.report(state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        self.bars.close()


def callbacks(title: str) -> list[TrainerCallback]:
    """The callbacks every trainer here gets."""
    return [MarkComplete(), ShowProgress(title)]


def train(trainer: Any, checkpoint: str | None) -> None:
    """Train to the end, from a checkpoint where there is one. The progress ends with the training, however it ends."""
    trainer.remove_callback(PrinterCallback)
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    finally:
        for callback in trainer.callback_handler.callbacks:
            if isinstance(callback, ShowProgress):
                callback.bars.close()


class MarkComplete(TrainerCallback):
    """Marks a checkpoint folder once everything in it is written, by every process."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the Trainer after the last write of a process to a checkpoint."""
        import torch.distributed

        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.barrier()
        if state.is_world_process_zero:
            write_text(Path(args.output_dir) / f"checkpoint-{state.global_step}" / "complete", "")


def precision(dtype: str) -> dict[str, Any]:
    """TrainingArguments' switches: bf16 autocast for bf16 models (faster on CPU too), else plain."""
    import torch

    return {"bf16": dtype == "bfloat16", "fp16": False, "use_cpu": not torch.cuda.is_available()}


def trainer_arguments(
    settings: SftSettings | PreferenceSettings | RlSettings | DistillSettings, work: Path, seed: int, dtype: str
) -> dict[str, Any]:
    """What every trainer here is told, as keyword arguments of TRL's configurations.

    One epoch: the order of the rows or prompts holds every pass over them.
    """
    return {
        "output_dir": str(work),
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": settings.warmup,
        "num_train_epochs": 1,
        "save_steps": settings.save_steps,
        "save_total_limit": 2,
        "logging_steps": 1,
        "report_to": settings.report_to,
        "disable_tqdm": True,
        "seed": seed,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "dataloader_pin_memory": False,
        **precision(dtype),
    }


def batch_arguments(batch_size: int, micro_batch_size: int) -> dict[str, Any]:
    """How a trainer takes batches of rows that are in order and whole."""
    return {
        "train_sampling_strategy": "sequential",
        "per_device_train_batch_size": micro_batch_size,
        "gradient_accumulation_steps": accumulation(batch_size, micro_batch_size),
        "max_length": None,
    }


def trainable_model(training: Training) -> Any:
    """The model to train: new LoRA adapters (drawn by the seed), those of a LoRA folder, or all weights.

    What is trained is float32 (adapters are, of themselves): beside a bfloat16 weight the paper's steps of 1e-5 and
    1e-6 round to nothing.
    """
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    torch.manual_seed(training.seed)
    model = load_model(training.model, training.dtype, for_training=True)
    share_prefixes(model)
    if isinstance(model, PeftModel):
        return model
    if (lora := training.lora) is None:
        return model.float()
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def accumulation(batch_size: int, micro_batch_size: int) -> int:
    """How many micro-batches each process adds up, so that all processes together make one batch.

    Raises InputError where they can't.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if batch_size % (micro_batch_size * processes):
        raise InputError(f"micro_batch_size {micro_batch_size} x {processes} processes must divide {batch_size}")
    return batch_size // (micro_batch_size * processes)


def digest(rows: list[dict[str, Any]]) -> str:
    """A short hash of JSON rows, order included."""
    hashed = hashlib.sha256()
    for row in rows:
        hashed.update(json_line(row))
    return hashed.hexdigest()[:16]


def same_run(work: Path, facts: dict[str, Any]) -> None:
    """Raise InputError where `work` holds checkpoints of a run that differs in any of the facts; else note them there.

    facts: what the training depends on, as JSON. Going on from another run's checkpoint would mix the two in silence.
    """
    path = work / "run.json"
    if path.exists() and any(work.glob("checkpoint-*/complete")):
        if changed := changes(read_saved(path, dict[str, Any]), facts):
            raise InputError(f"{work}: an unfinished training with another {', '.join(changed)}; remove it first")
    elif os.environ.get("RANK", "0") == "0":
        write_json(path, facts)


@contextmanager
def alone(training: Training) -> Iterator[None]:
    """The only training that makes this model; of the processes that train together the first one sees to it."""
    with working_in(training.work) if os.environ.get("RANK", "0") == "0" else nullcontext():
        yield


def last_checkpoint(work: Path) -> str | None:
    """The newest checkpoint that is whole (marked by `MarkComplete`), or None. Torn ones are removed."""
    whole = []
    numbered = [path for path in work.glob("checkpoint-*") if re.fullmatch(r"checkpoint-[0-9]{1,18}", path.name)]
    for path in sorted(numbered, key=lambda path: int(path.name.split("-")[1])):
        if (path / "complete").exists():
            whole.append(path)
        else:
            shutil.rmtree(path, ignore_errors=True)  # every process comes here
    return str(whole[-1]) if whole else None


def finish(trainer: Any, training: Training, about: dict[str, Any]) -> None:
    """Write the final folder atomically and drop the checkpoints.

    Beside the weights stand the log, what the training depended on (`training.json`, see `same_run`), the card and,
    after RL, its rollouts. about: what else the card says: method, data, tool.

    The weights are collected from all processes, which may each hold a part of them (FSDP, ZeRO).
    """
    import torch
    from peft import PeftModel

    out, work, renderer, dtype = training.out, training.work, training.renderer, training.dtype
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.accelerator.is_main_process:
        temporary = out.with_name(f".{out.name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        model = trainer.accelerator.unwrap_model(trainer.model)
        if not isinstance(model, PeftModel):
            weights = {name: weight.to(getattr(torch, dtype)) for name, weight in weights.items()}
        model.save_pretrained(temporary, state_dict=weights)
        if not isinstance(model, PeftModel):  # it says what the training held, not what was written
            write_json(temporary / "config.json", read_json(temporary / "config.json") | {"dtype": dtype})
        renderer.tokenizer.chat_template = renderer.dialect.template
        renderer.tokenizer.save_pretrained(temporary)
        write_json(temporary / LOG, trainer.state.log_history)
        write_facts(temporary, training, read_json(work / "run.json") | about)
        if (work / ROLLOUTS).exists():
            shutil.copyfile(work / ROLLOUTS, temporary / ROLLOUTS)
        shutil.rmtree(out, ignore_errors=True)
        temporary.rename(out)
        for mark in work.glob("checkpoint-*/complete"):  # first, lest half a checkpoint passes for a whole one
            mark.unlink()
        shutil.rmtree(work, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
