"""`ascl sft`, `ascl rl`, `ascl score`, `ascl merge` and `ascl push`: one model at a time."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ascl import ranges
from ascl.cli.entry import checked_options, finite
from ascl.errors import InputError
from ascl.terminal import echo

if TYPE_CHECKING:
    from ascl.judges.judge import Judge
    from ascl.train.reward import Reward, RewardWeights

Dialect = Annotated[str | None, typer.Option(help="How the model writes thoughts and calls, if not found.")]
Out = Annotated[Path, typer.Option(help="Where the trained model goes.")]
Check = Annotated[bool, typer.Option("--check", help="Look whether all is there that it needs, and stop.")]
LoraRank = Annotated[int, typer.Option(min=0, max=ranges.RANK, help="LoRA adapters of this rank (0: all weights).")]
Config = Annotated[str, typer.Argument(help="A configuration (model, prompts, rules, judge, rl), or a shipped one.")]

REWARD_COLUMNS = {
    "safety": "R_s",
    "compliance": "R_c",
    "hallucination": "P_h",
    "format": "P_f",
    "faults": "faults",
    "total": "total",
}


def sft(
    model: Annotated[str, typer.Option(help="`embedded`, a hub id, a local folder or an earlier checkpoint.")],
    data: Annotated[list[Path], typer.Option(help="A training set: a folder of `ascl data build`, or JSONL.")],
    out: Out,
    epochs: Annotated[float | None, typer.Option(min=0.001, max=ranges.EPOCHS, callback=finite)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, max=ranges.LEARNING_RATE, callback=finite)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, max=ranges.BATCH)] = None,
    micro_batch_size: Annotated[int | None, typer.Option(min=1, max=ranges.BATCH)] = None,
    warmup: Annotated[float | None, typer.Option(min=0, max=0.99, callback=finite)] = None,
    max_length: Annotated[
        int | None, typer.Option(min=16, max=ranges.TOKENS, help="A longer row is an error: no trace is cut.")
    ] = None,
    lora_rank: LoraRank = 0,
    dialect: Dialect = None,
    dtype: Annotated[str, typer.Option(help="bfloat16, float32, or auto: what this machine is fast in.")] = "auto",
    save_steps: Annotated[int | None, typer.Option(min=1, max=ranges.STEPS)] = None,
    seed: Annotated[int, typer.Option(min=0, max=ranges.SEED)] = 0,
    check: Check = False,
) -> None:
    """Supervised fine-tuning with loss on model turns only. Run it again to resume.

    What is not named is the paper's: `ascl config show` prints the values (`sft`).
    """
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from ascl.data.rows import read_rows
    from ascl.models.dtype import machine_dtype
    from ascl.models.models import load_renderer
    from ascl.train.settings import Lora, SftSettings
    from ascl.train.training import Training

    dtype = machine_dtype(dtype)
    if out.exists():
        raise InputError(f"--out {out}: exists already; name another, or remove it")
    given = {
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "micro_batch_size": micro_batch_size,
        "warmup": warmup,
        "max_length": max_length,
        "save_steps": save_steps,
    }
    with checked_options():
        settings = SftSettings.model_validate({name: value for name, value in given.items() if value is not None})
    rows = read_rows(data)
    lora = Lora(r=lora_rank, alpha=2 * lora_rank) if lora_rank else None
    training = Training(model=model, renderer=load_renderer(model, dialect), out=out, lora=lora, seed=seed, dtype=dtype)
    _check_room(training)
    if check:
        echo(f"to do: sft, {len(rows)} rows")
        return
    from ascl.progress import waiting
    from ascl.train.checkpoints import alone
    from ascl.train.sft import run_sft

    with waiting(out.name), alone(training):
        run_sft(training, rows, settings)
    echo(f"{len(rows)} rows; the model: {out}")


def _check_room(training: Any) -> None:
    """Look for the model, and for a place with room for the trained one. Raises InputError."""
    from ascl.preflight import RECORDS, check_space, check_writable
    from ascl.run.checks import training_space

    check_writable(training.out)
    space = training_space(training.model, training.dtype, training.lora, [training.out])
    check_space(training.out, space + RECORDS, "the training")


def rl(
    config: Config,
    model: Annotated[str | None, typer.Option(help="Train this (cloned) model, not the configuration's.")] = None,
    algorithm: Annotated[str, typer.Option(help="What makes advantages of rewards, see docs/advantages.md.")] = "ifpo",
    out: Annotated[Path | None, typer.Option(help="Where the model goes (default: runs/NAME-ALGORITHM).")] = None,
    without: Annotated[
        list[Path], typer.Option(help="Training rows (JSONL) whose prompts are left out: those that were cloned.")
    ] = [],  # noqa: B006
    seed: Annotated[int | None, typer.Option(min=0, max=ranges.SEED, help="Not the configuration's first.")] = None,
    check: Check = False,
) -> None:
    """Reinforce a model on prompts with a judge's rewards: one arm of a run. Run it again to resume."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from ascl.data.rows import read_rows
    from ascl.models.dtype import machine_dtype
    from ascl.preflight import check_judge, check_servers, judge_servers
    from ascl.run.arms import RlArm, check_kinds
    from ascl.run.checks import rollout_servers
    from ascl.run.config import find_config, load_config
    from ascl.run.world import ConfiguredWorld
    from ascl.train.advantages import algorithm_of
    from ascl.train.installed import check_installed
    from ascl.train.training import Training

    path = find_config(config)
    settings = load_config(path)
    settings = settings.model_copy(update={"model": model or settings.model})
    try:
        arm = RlArm.model_validate({"method": "rl", "algorithm": algorithm_of(algorithm)})
    except InputError as error:
        raise InputError(f"--algorithm {error}") from error
    folder = out or Path("runs") / f"{path.stem}-{arm.algorithm.type.rpartition(':')[2].lower()}"
    if folder.exists():
        raise InputError(f"--out {folder}: exists already; name another, or remove it")
    world = ConfiguredWorld(settings)
    check_installed(settings.rl)
    check_servers(judge_servers(settings.judge) + rollout_servers(settings.rl))
    check_kinds(world.prompts, settings.rl.kinds)
    seed = settings.seeds[0] if seed is None else seed
    prompts = world.rl_prompts(arm, seed, {row.prompt_id for row in read_rows(without)})
    if not prompts:
        raise InputError("--without: every train prompt of the kinds in rl.kinds was cloned, so none is left for RL")
    training = Training(
        model=settings.model,
        renderer=world.renderer(),
        out=folder,
        lora=settings.lora,
        seed=seed,
        dtype=machine_dtype(settings.dtype),
    )
    judge = world.reward_judge(folder.with_name(f"{folder.name}.trainer"))
    check_judge(judge)
    _check_room(training)
    if check:
        echo(f"to do: rl by {arm.algorithm.type}, {len(prompts)} prompts")
        return
    from ascl.progress import waiting
    from ascl.train.checkpoints import alone
    from ascl.train.rl import run_rl

    with waiting(folder.name), alone(training):
        run_rl(training, prompts, world.tool("train", seed), judge, arm.algorithm, settings.rl)
    echo(f"{len(prompts)} prompts; the model: {folder}; its rollouts: {folder / 'rollouts.jsonl'}")


def score(
    file: Annotated[
        Path, typer.Argument(help="JSONL of records or answers: a run's rollouts, an evaluation's answers.")
    ],
    config: Annotated[str, typer.Option(help="A configuration whose judge, rules and rl.reward count.")] = "quickstart",
    as_json: Annotated[bool, typer.Option("--json", help="JSONL instead of a table.")] = False,
) -> None:
    """What each trajectory of a file would be worth in RL, part by part."""
    from ascl.judges.open_judge import open_judge
    from ascl.rules.book import RuleBook
    from ascl.run.config import find_config, load_config

    settings = load_config(find_config(config))
    book = RuleBook.load(settings.rules.source, settings.rules.embedding_model)
    judge = open_judge(settings.judge, book, Path(f"{file}.judge_replies.jsonl"))
    print_scores(file, judge, settings.rl.reward, as_json)


def print_scores(path: Path, judge: "Judge", weights: "RewardWeights", as_json: bool = False) -> None:
    """Judge every trajectory of a file again and print the parts of its reward: a table, or JSONL.

    Means are over the trajectories with a readable verdict; the others (`unjudged`: their share) have no reward.
    unparsed: of the answers to reasoning problems, those in which no result can be read; they count as wrong.
    """
    from statistics import fmean

    from ascl.evals.metrics import left_out_warnings
    from ascl.stats import Estimate
    from ascl.train.score_file import load_cases, score_cases, unparsed

    cases = load_cases(path)
    scored = score_cases(cases, judge, weights)
    verdicts, rewards = [verdict for verdict, _ in scored], [reward for _, reward in scored]
    read = [reward for reward in rewards if reward is not None]
    means = {part: fmean(getattr(reward, part) for reward in read) if read else None for part in REWARD_COLUMNS}
    shares = Estimate(unjudged=rewards.count(None) / len(rewards), unparsed=unparsed(cases, verdicts))
    warnings = left_out_warnings({"means": shares})
    told = [
        {
            "prompt_id": one.prompt.id,
            "kind": one.prompt.kind.value,
            "mode": "consult" if one.trajectory.consulted else "direct",
            "stop": str(one.trajectory.stop or "unfinished"),
        }
        for one in cases
    ]
    if not as_json:
        _print_rewards(told, rewards, means)
        said = f"judge: {judge.name}; unjudged {100 * (shares.unjudged or 0):.1f} % ({rewards.count(None)} of"
        echo(f"{said} {len(rewards)}), unparsed {100 * (shares.unparsed or 0):.1f} %")
        for warning in warnings:
            echo(f"warning: {warning}")
        return
    for row, verdict, reward in zip(told, verdicts, rewards, strict=True):
        found = {"verdict": verdict and verdict.model_dump(mode="json"), "reward": reward and reward.model_dump()}
        print(json.dumps(row | found))
    last = {"means": means, "trajectories": len(rewards), **shares.model_dump(include={"unjudged", "unparsed"})}
    print(json.dumps(last | {"warnings": warnings, "judge": judge.name}))


def _print_rewards(told: list[dict[str, str]], rewards: list["Reward | None"], means: dict[str, float | None]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from ascl.progress import Screen

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("prompt", overflow="fold")
    for title in ("kind", "mode", "stop"):
        table.add_column(title, no_wrap=True)
    for title in REWARD_COLUMNS.values():
        table.add_column(title, justify="right", no_wrap=True)
    for row, reward in zip(told, rewards, strict=True):
        parts = (None if reward is None else getattr(reward, part) for part in REWARD_COLUMNS)
        table.add_row(*row.values(), *map(_figure, parts))
    table.add_section()
    table.add_row("mean", "", "", "", *map(_figure, means.values()))
    Screen().print(table)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def merge(
    model: Annotated[Path, typer.Argument(help="A trained folder with LoRA adapters.")],
    out: Out,
    dtype: Annotated[str, typer.Option(help="bfloat16, float32, or auto: what this machine is fast in.")] = "auto",
) -> None:
    """Merge adapters into their base model: a folder that needs no PEFT, e.g. for vLLM, SGLang or llama.cpp."""
    from ascl.train.portable import merge_folder

    merge_folder(model, out, dtype)
    echo(f"the merged model: {out}")


def push(
    model: Annotated[Path, typer.Argument(help="A trained folder.")],
    repo: Annotated[str, typer.Argument(help="The repository on the hub: OWNER/NAME.")],
    public: Annotated[bool, typer.Option("--public", help="Make a repository that is not there yet public.")] = False,
) -> None:
    """Put a trained folder on the hub, with its card. Log in before: `hf auth login`, or HF_TOKEN."""
    from ascl.train.portable import push_folder

    echo(f"pushed: {push_folder(model, repo, public)}")
