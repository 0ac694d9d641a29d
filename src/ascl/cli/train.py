"""`ascl sft` and `ascl rl`: fine-tune a model on training sets, and reinforce it on prompts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ascl import ranges
from ascl.cli.entry import checked_options, finite
from ascl.terminal import echo

if TYPE_CHECKING:
    from ascl.train.settings import Lora


def sft(
    model: Annotated[str, typer.Option(help="`embedded`, a hub id, a local folder or an earlier checkpoint.")],
    data: Annotated[list[Path], typer.Option(help="A training set: a folder of `ascl data build`, or JSONL.")],
    out: Annotated[Path, typer.Option(help="Where the trained model goes.")],
    epochs: Annotated[float, typer.Option(min=0.001, max=ranges.EPOCHS, callback=finite)] = 3,
    learning_rate: Annotated[float, typer.Option(min=0, max=ranges.LEARNING_RATE, callback=finite)] = 1e-5,
    batch_size: Annotated[int, typer.Option(min=1, max=ranges.BATCH)] = 128,
    micro_batch_size: Annotated[int, typer.Option(min=1, max=ranges.BATCH)] = 8,
    warmup: Annotated[float, typer.Option(min=0, max=0.99, callback=finite)] = 0.05,
    max_length: Annotated[
        int, typer.Option(min=16, max=ranges.TOKENS, help="A longer row is an error: no trace is cut.")
    ] = 4096,
    lora_rank: Annotated[
        int, typer.Option(min=0, max=ranges.RANK, help="Train LoRA adapters of this rank (0: all weights).")
    ] = 0,
    dialect: Annotated[str | None, typer.Option(help="How the model writes thoughts and calls, if not found.")] = None,
    dtype: Annotated[str, typer.Option(help="bfloat16, float32, or auto: what this machine is fast in.")] = "auto",
    save_steps: Annotated[int, typer.Option(min=1, max=ranges.STEPS)] = 50,
    seed: Annotated[int, typer.Option(min=0, max=ranges.SEED)] = 0,
    check: Annotated[bool, typer.Option("--check", help="Look whether all is there that it needs, and stop.")] = False,
) -> None:
    """Supervised fine-tuning with loss on model turns only. Run it again to resume."""
    import os

    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from ascl.chat.clients.dtype import machine_dtype
    from ascl.chat.clients.models import load_renderer
    from ascl.errors import InputError
    from ascl.progress import waiting
    from ascl.train.data import read_rows
    from ascl.train.settings import Lora, SftSettings

    dtype = machine_dtype(dtype)
    if out.exists():
        raise InputError(f"--out {out}: exists already; name another, or remove it")
    if batch_size % min(micro_batch_size, batch_size):
        raise InputError("--micro-batch-size must divide --batch-size")
    with checked_options():
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
    renderer = load_renderer(model, dialect)
    _check_room(model, dtype, lora, out)
    if check:
        echo(f"to do: sft, {len(rows)} rows")
        return
    from ascl.train.checkpoints import alone
    from ascl.train.sft import run_sft

    with waiting(out.name), alone(out):
        run_sft(model, rows, renderer, out, settings, lora, seed, dtype)
    echo(f"{len(rows)} rows; the model: {out}")


def _check_room(model: str, dtype: str, lora: "Lora | None", out: Path) -> None:
    """Look for the model, and for a place with room for the trained one. Raises InputError."""
    from ascl.preflight import RECORDS, check_space, check_writable, training_space

    check_writable(out)
    check_space(out, training_space(model, dtype, lora, [out]) + RECORDS, "the training")


def rl(
    config: Annotated[Path, typer.Argument(help="A YAML configuration: model, prompts, rules, judge, reward, rl.")],
    model: Annotated[str | None, typer.Option(help="Train this (cloned) model, not the configuration's.")] = None,
    algorithm: Annotated[
        str,
        typer.Option(help="As the config has it in rl.arms, else with its defaults; see docs/advantages.md."),
    ] = "ifpo",
    out: Annotated[Path | None, typer.Option(help="Where the model goes (default: runs/NAME-ALGORITHM).")] = None,
    without: Annotated[
        list[Path], typer.Option(help="Training rows (JSONL) whose prompts are left out: those that were cloned.")
    ] = [],  # noqa: B006
    score: Annotated[
        Path | None, typer.Option(help="Train nothing: print the rewards of a file's trajectories.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --score: JSONL instead of a table.")] = False,
    plan: Annotated[
        str | None, typer.Option(help="Train nothing: print what a step needs `here`, or on a100, h100, h200.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=ranges.PROCESSES, help="With --plan: training processes.")] = 1,
    sharded: Annotated[bool, typer.Option(help="With --plan: weights split over the processes (FSDP).")] = False,
    completion_tokens: Annotated[
        float,
        typer.Option(
            min=0,
            max=ranges.TOKENS,
            callback=finite,
            help="With --plan: mean tokens of a model turn (0: half of max_tokens).",
        ),
    ] = 0,
    consult_share: Annotated[
        float, typer.Option(min=0, max=1, callback=finite, help="With --plan: rollouts that consult.")
    ] = 0.5,
    judge_seconds: Annotated[
        float, typer.Option(min=0, max=ranges.SECONDS, callback=finite, help="With --plan: seconds of one verdict.")
    ] = 0,
    judge_concurrency: Annotated[
        int, typer.Option(min=1, max=ranges.CONCURRENCY, help="With --plan: verdicts at a time.")
    ] = 1,
    check: Annotated[bool, typer.Option("--check", help="Look whether all is there that it needs, and stop.")] = False,
) -> None:
    """Reinforce a model on prompts with a judge's rewards. Run it again to resume."""
    import os
    import sys

    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from ascl.config import load_config
    from ascl.errors import InputError
    from ascl.judges.open_judge import open_judge
    from ascl.rules.book import RuleBook
    from ascl.train.advantages import algorithm_of

    settings = load_config(config)
    if plan is not None:
        from ascl.cli.plan import plan_of, print_plan

        named = settings if model is None else settings.model_copy(update={"model": model})
        lengths = (completion_tokens, consult_share, judge_seconds, judge_concurrency)
        print_plan(plan_of(named, plan, processes, sharded, *lengths))
        return
    book = RuleBook.load(settings.rules.source, settings.rules.embedding_model)
    if score is not None:
        from ascl.cli.score import score_file

        judge = open_judge(settings.judge, book, Path(f"{score}.judge_replies.jsonl"))
        score_file(score, judge, settings.reward, sys.stdout, as_json)
        return
    try:
        chosen = dict(zip(settings.rl.names, settings.rl.arms, strict=True)).get(algorithm) or algorithm_of(algorithm)
    except InputError as error:
        raise InputError(f"--algorithm {error}") from error
    folder = out or Path("runs") / f"{config.stem}-{chosen.name}"
    if folder.exists():
        raise InputError(f"--out {folder}: exists already; name another, or remove it")
    from ascl.chat.clients.dtype import machine_dtype
    from ascl.chat.clients.models import load_renderer
    from ascl.consult.tool import ConsultTool
    from ascl.inputs import read_jsonl
    from ascl.preflight import check_judge, check_kinds, check_servers, judge_servers, rollout_servers
    from ascl.progress import waiting
    from ascl.prompts.prompt import choose
    from ascl.prompts.sources import load_prompts
    from ascl.recipes.rows import prompt_of
    from ascl.train.installed import check_installed

    name = model or settings.model
    check_installed(settings.rl.settings)
    check_servers(judge_servers(settings.judge) + rollout_servers(settings.rl.settings))
    read = load_prompts(settings.prompts)
    check_kinds(read, settings.rl.kinds)
    cloned = {prompt_of(row) for file in without for _, row in read_jsonl(file)}
    prompts = choose(read, "train", settings.rl.kinds, settings.train_limit, cloned)
    if not prompts:
        raise InputError("--without: every train prompt of the kinds in rl.kinds was cloned, so none is left for RL")
    renderer = load_renderer(name, settings.dialect)
    judge = open_judge(settings.judge, book, folder.with_name(f"{folder.name}.judge_replies.jsonl"))
    check_judge(judge)
    dtype = machine_dtype(settings.dtype)
    _check_room(name, dtype, settings.lora, folder)
    if check:
        echo(f"to do: rl by {chosen.name}, {len(prompts)} prompts")
        return
    from ascl.train.checkpoints import alone
    from ascl.train.rl import run_rl

    with waiting(folder.name), alone(folder):
        run_rl(
            model=name,
            prompts=prompts,
            renderer=renderer,
            tool=ConsultTool(book, settings.rules.top_k),
            judge=judge,
            out=folder,
            algorithm=chosen,
            settings=settings.rl.settings,
            rewards=settings.reward,
            lora=settings.lora,
            seed=settings.seed,
            rollout_log=folder.with_name(f"{folder.name}.rollouts.jsonl"),
            dtype=dtype,
        )
    echo(f"{len(prompts)} prompts; the model: {folder}; its rollouts: {folder.name}.rollouts.jsonl beside it")
