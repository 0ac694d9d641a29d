"""`ascl sft`: fine-tune a model on training sets."""

from pathlib import Path
from typing import Annotated

import typer


def sft(
    model: Annotated[str, typer.Option(help="`embedded`, a hub id, a local folder or an earlier checkpoint.")],
    data: Annotated[list[Path], typer.Option(help="A training set: a folder of `ascl data build`, or JSONL.")],
    out: Annotated[Path, typer.Option(help="Where the trained model goes.")],
    epochs: Annotated[float, typer.Option(min=0.001)] = 3,
    learning_rate: Annotated[float, typer.Option(min=0)] = 1e-5,
    batch_size: Annotated[int, typer.Option(min=1)] = 128,
    micro_batch_size: Annotated[int, typer.Option(min=1)] = 8,
    warmup: Annotated[float, typer.Option(min=0, max=0.99)] = 0.05,
    max_length: Annotated[int, typer.Option(min=16, help="A longer row is an error: no trace is cut.")] = 4096,
    lora_rank: Annotated[int, typer.Option(min=0, help="Train LoRA adapters of this rank (0: all weights).")] = 0,
    dialect: Annotated[str | None, typer.Option(help="How the model writes thoughts and calls, if not found.")] = None,
    dtype: Annotated[str, typer.Option(help="bfloat16 or float32.")] = "bfloat16",
    save_steps: Annotated[int, typer.Option(min=1)] = 50,
    seed: int = 0,
) -> None:
    """Supervised fine-tuning with loss on model turns only. Run it again to resume."""
    import os

    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from ascl.chat.clients.models import load_renderer
    from ascl.errors import InputError
    from ascl.train.data import read_rows
    from ascl.train.settings import Lora, SftSettings
    from ascl.train.sft import run_sft

    if dtype not in ("bfloat16", "float32"):
        raise InputError(f"--dtype {dtype}: use bfloat16 or float32")
    if out.exists():
        raise InputError(f"--out {out}: exists already; name another, or remove it")
    if batch_size % min(micro_batch_size, batch_size):
        raise InputError("--micro-batch-size must divide --batch-size")
    settings = SftSettings(
        learning_rate=learning_rate,
        epochs=epochs,
        batch_size=batch_size,
        micro_batch_size=micro_batch_size,
        warmup=warmup,
        max_length=max_length,
        save_steps=save_steps,
    )
    rows = read_rows(data)
    lora = Lora(r=lora_rank, alpha=2 * lora_rank) if lora_rank else None
    run_sft(model, rows, load_renderer(model, dialect), out, settings, lora, seed, dtype)
    typer.echo(f"{len(rows)} rows; the model: {out}")
