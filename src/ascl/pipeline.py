"""A run: prompts and rule book -> zero-shot variants -> behaviour cloning -> RL arms -> evaluation -> report.

Every stage leaves files in the run folder and its name in `manifest.json`; a second run does no finished stage again,
and an unfinished one goes on from its last finished unit (a chunk of prompts, a trainer checkpoint).
"""

import hashlib
import math
import os
import platform
import time
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from ascl.chat.clients.dtype import machine_dtype
from ascl.chat.clients.fingerprint import changed_facts, fingerprint, short_hash
from ascl.chat.clients.in_process import InProcessClient
from ascl.chat.clients.openai_server import OpenAIClient
from ascl.chat.render import Renderer
from ascl.config import RunConfig, Teacher
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import Variant, shown_to
from ascl.errors import InputError
from ascl.evals.evaluate import evaluate
from ascl.evals.metrics import left_out_warnings, measure
from ascl.files import write_json, write_jsonl, write_text
from ascl.folders import working_in
from ascl.inputs import parse_yaml, read_json, read_text
from ascl.judges.calibrate import calibrate, load_calibration
from ascl.judges.open_judge import open_judge
from ascl.judges.record import Judge, Record
from ascl.preflight import (
    RECORDS,
    Server,
    check_judge,
    check_kinds,
    check_servers,
    check_space,
    check_writable,
    judge_servers,
    model_config,
    rollout_servers,
    training_space,
)
from ascl.progress import console, progress_bar, waiting
from ascl.prompts.prompt import Kind, Prompt, choose, split_of
from ascl.prompts.sources import load_prompts
from ascl.recipes.demonstrations import fitting
from ascl.recipes.rows import Row, split_row
from ascl.rules.book import RuleBook
from ascl.saved import read_saved, saved_rows
from ascl.stats import Estimate
from ascl.train.advantages import Algorithm
from ascl.train.installed import check_installed

# How the zero-shot variants are called in the report: the tool without training is the paper's ASCL-ZS.
REPORT_NAMES: dict[Variant, str] = {"ascl": "ascl_zs"}
PACKAGES = ("ascl", "torch", "trl", "transformers", "peft", "accelerate", "datasets", "bm25s")


@dataclass
class Run:
    """A run folder in the making."""

    folder: Path
    config: RunConfig
    tool: ConsultTool
    renderer: Renderer
    prompts: list[Prompt]
    manifest: dict[str, Any]
    judge: Judge

    def stage(self, name: str, work: Callable[[], None]) -> None:
        """Do the work of a stage unless the manifest says that it is done."""
        if name in self.manifest["stages"]:
            return
        console.rule(name)
        started = time.monotonic()
        with waiting(name):
            work()
        self.manifest["stages"][name] = {"seconds": round(time.monotonic() - started, 1)}
        write_json(self.folder / "manifest.json", self.manifest)

    def checkpoint(self, name: str) -> Path:
        """Where the model of a training stage lies."""
        return self.folder / "checkpoints" / name

    def split(self, split: str, kinds: Iterable[Kind] = Kind, without: Container[str] = ()) -> list[Prompt]:
        """The run's train or test prompts of the given kinds; a limit takes that many of each kind, evenly spread."""
        limit = self.config.test_limit if split == "test" else self.config.train_limit
        return choose(self.prompts, split, kinds, limit, without)


def run(config: RunConfig, folder: Path) -> Path:
    """Carry a run through to its report and return the report's path. Raises InputError on bad input."""
    with working_in(folder):
        state = open_run(config, folder)
        write_text(folder / "config.yaml", _resolved(state.config))
        write_json(folder / "manifest.json", state.manifest)
        for name, work in stages(state.config).items():
            state.stage(name, partial(work, state))
        write_metrics(state)
        from ascl.report.page import build_report

        return build_report(folder)


def stages(config: RunConfig) -> dict[str, Callable[[Run], None]]:
    """What a run does, in order: the name of each stage, and its work."""
    found: dict[str, Callable[[Run], None]] = {"prompts": _write_prompts}
    for variant in config.variants:
        name = REPORT_NAMES.get(variant, variant)
        found[f"eval {name}"] = partial(_evaluate, name=name, variant=variant, trained=False)
    found |= {"data": _build_data, "bc": _clone, "eval bc": partial(_evaluate, name="bc", variant="ascl", trained=True)}
    for arm in config.rl.arms:
        found[arm.name] = partial(_reinforce, arm=arm)
        found[f"eval {arm.name}"] = partial(_evaluate, name=arm.name, variant="ascl", trained=True)
    return found


def open_run(config: RunConfig, folder: Path) -> Run:
    """Load what every stage needs, and look for all that the stages to come will need. Nothing is written.

    Raises InputError where something is missing, or the folder holds a run of another configuration, rule book or
    prompt set.
    """
    from ascl.chat.clients.models import load_renderer

    check_writable(folder)
    before = _begun(folder)
    left = [name for name in stages(config) if before is None or name not in before["stages"]]
    check_servers(_servers(config, left))  # before torch is imported: a server that is not there is told in seconds
    config = config.model_copy(update={"dtype": machine_dtype(config.dtype)})
    saved = folder / "config.yaml"
    if saved.exists() and _without_addresses(parse_yaml(saved, read_text(saved))) != _without_addresses(
        config.model_dump(mode="json")
    ):
        raise InputError(f"{folder}: holds a run with other settings ({saved}); name another --out or pass --fresh")
    _check_settings(config, left)
    book = RuleBook.load(config.rules.source, config.rules.embedding_model)
    tool = ConsultTool(book, config.rules.top_k)
    if config.teacher is None and "data" in left:
        fitting(tool)
    prompts = load_prompts(config.prompts)
    renderer = load_renderer(config.model, config.dialect)
    manifest = _manifest(config, folder, before, tool, renderer, prompts)
    judge = open_judge(config.judge, book, folder / "data" / "judge_replies.jsonl")
    state = Run(folder, config, tool, renderer, prompts, manifest, judge)
    _check_prompts(state, left)
    if left:
        model_config(config.model)
        check_judge(judge)
        trained = [state.checkpoint(name) for name in ("bc", *config.rl.names) if name in left]
        space = training_space(config.model, config.dtype, config.lora, trained)
        check_space(folder, space + RECORDS, f"what is left of this run ({len(trained)} models)")
    return state


def _resolved(config: RunConfig) -> str:
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _servers(config: RunConfig, left: Container[str]) -> list[Server]:
    """The servers that the stages to come will ask."""
    found = judge_servers(config.judge) if left else []
    if config.teacher is not None and "data" in left:
        found.append(Server("teacher", config.teacher.model, config.teacher.base_url))
    if any(arm in left for arm in config.rl.names):
        found += rollout_servers(config.rl.settings)
    return found


def _check_settings(config: RunConfig, left: Container[str]) -> None:
    if "bc" in left:
        check_installed(config.sft)
    if any(arm in left for arm in config.rl.names):
        check_installed(config.rl.settings)


def _check_prompts(state: Run, left: Container[str]) -> None:
    if not state.split("test"):
        raise InputError("prompts: none of them is in the test split; add prompts")
    if any(arm in left for arm in state.config.rl.names):
        check_kinds(state.prompts, state.config.rl.kinds)


class _Begun(BaseModel):
    """What of a `manifest.json` the next run reads."""

    stages: dict[str, Any]
    shown: dict[str, str] = Field(default_factory=dict)


def _begun(folder: Path) -> dict[str, Any] | None:
    """The manifest of the run that a folder holds, if it holds one. Raises InputError."""
    path = folder / "manifest.json"
    if not path.exists():
        return None
    read_saved(path, _Begun)
    return read_json(path)


def _without_addresses(settings: Any) -> Any:
    """Settings without where servers are: that is no part of what a run depends on."""
    if isinstance(settings, dict):
        kept = {key: value for key, value in settings.items() if key not in ("base_url", "vllm_server")}
        return {key: _without_addresses(value) for key, value in kept.items()}
    return settings


def _facts(config: RunConfig, tool: ConsultTool, renderer: Renderer) -> dict[str, str]:
    """Short hashes of what else a run depends on: weights in local folders, chat template, system texts and tool."""
    local = {"weights": config.model, "embedding model": tool.book.embedding_model}
    if config.judge.base_url is None:
        local["judge"] = config.judge.model
    found = {name: fingerprint(model) for name, model in local.items() if model}
    variants: list[Variant] = [*config.variants, "ascl"]
    texts = [shown_to(variant, tool)["system text"] for variant in variants]
    shown = {"chat template": short_hash(renderer.dialect.template), "system text": short_hash(" ".join(texts))}
    return shown | {name: of for name, of in found.items() if of}


def _manifest(
    config: RunConfig,
    folder: Path,
    manifest: dict[str, Any] | None,
    tool: ConsultTool,
    renderer: Renderer,
    prompts: list[Prompt],
) -> dict[str, Any]:
    text = "\n".join(prompt.model_dump_json() for prompt in prompts)
    inputs = {
        "rule_book": {"source": config.rules.source, "hash": tool.book.hash, "rules": len(tool.book.rules)},
        "prompts": {"sources": config.prompts, "hash": hashlib.sha256(text.encode()).hexdigest()[:16]},
    }
    shown = _facts(config, tool, renderer)
    if manifest is not None:
        for name, value in inputs.items():
            if manifest.get(name) != value:
                raise InputError(f"{folder}: its {name.replace('_', ' ')} has changed since; pass --fresh")
        if changes := changed_facts(manifest.get("shown", {}), shown):
            raise InputError(f"{folder}: holds a run with another {', '.join(changes)}; pass --fresh")
        return manifest
    return {
        "name": folder.name,
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "versions": {package: package_version(package) for package in PACKAGES},
        "model": config.model,
        "dialect": renderer.dialect.name,
        "seed": config.seed,
        **inputs,
        "shown": shown,
        "stages": {},
    }


def machine() -> str:
    """The processor, its cores and the GPU, in words."""
    try:
        import torch

        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    except ModuleNotFoundError:  # what asks a server needs no torch
        device = "no torch"
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            processor = line.split(":", 1)[1].strip()
            break
    return f"{processor}, {os.cpu_count()} cores, {device}"


def package_version(package: str) -> str:
    """The installed version of a package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _write_prompts(state: Run) -> None:
    rows = [p.model_dump(mode="json") | {"split": split_of(p)} for p in state.prompts]
    write_jsonl(state.folder / "data" / "prompts.jsonl", rows)


def _evaluate(state: Run, name: str, variant: Variant, trained: bool) -> None:
    """Measure one variant: the model (of that name, where it is trained) walks the prompts, the judge reads."""
    from ascl.chat.clients.models import load_model

    model = str(state.checkpoint(name)) if trained else state.config.model
    client = InProcessClient(load_model(model, state.config.dtype), state.renderer)
    sampling = state.config.sampling.model_copy(update={"seed": state.config.sampling.seed + state.config.seed})
    path = state.folder / "data" / "eval" / f"{name}.jsonl"
    prompts, batch = state.split("test"), state.config.eval_batch
    with progress_bar(name, len(prompts)) as progress:
        evaluate(name, variant, prompts, client, state.tool, state.judge, sampling, batch, path, progress)


def _build_data(state: Run) -> None:
    from ascl.recipes.balance import take_evenly

    config = state.config
    rows = _shown(state) if config.teacher is None else _taught(state, config.teacher)
    if config.train_limit:
        by_kind = [[row for row in rows if row.kind is kind] for kind in Kind]
        rows = [r for of in by_kind for r in take_evenly(of, config.train_limit, lambda row: row.mode, config.seed)]
    if config.sft.form == "split":
        rows = [part for row in rows for part in split_row(row)]
    if not rows:
        raise InputError("data: no trajectory passed the recipe's checks (see data/rejected.jsonl)")
    write_jsonl(state.folder / "data" / "sft.jsonl", [row.dump() for row in rows])


def _shown(state: Run) -> list[Row]:
    """The rows of the shipped demonstrations that fit the run's rule book; the others are rejections."""
    from ascl.recipes.ascl import consult_row
    from ascl.recipes.balance import RATIO, mix

    shown, strays = fitting(state.tool)
    rejected = [{"id": prompt.id, "stage": "demonstrations", "reason": "its rule is not returned"} for prompt in strays]
    write_jsonl(state.folder / "data" / "rejected.jsonl", rejected)
    if strays:
        console.say(f"demonstrations: {len(shown)} kept, {len(strays)} dropped (the tool does not return their rule)")
    rows = [consult_row(p, t, state.tool, {"origin": "demonstration"}, p.category) for p, t in shown]
    return mix(rows, RATIO, state.config.seed)


def _taught(state: Run, teacher: Teacher) -> list[Row]:
    """The rows of the `ascl` recipe (not purified) for the prompts that a teacher demonstrates; rejections beside."""
    from ascl.recipes.ascl import Parameters, build, is_cloned
    from ascl.recipes.build import Workshop, without_row

    data = state.folder / "data"
    workshop = Workshop(
        folder=data,
        model=teacher.model,
        client=OpenAIClient(teacher.model, teacher.base_url, teacher.concurrency),
        tool=state.tool,
        judge=state.judge,
        sampling=teacher.sampling,
        concurrency=teacher.concurrency,
        seed=state.config.seed,
    )
    built = build([p for p in state.split("train") if is_cloned(p)], Parameters(purify=False), workshop)
    write_jsonl(data / "rejected.jsonl", [r.dump() for r in without_row(built, data)])
    return [row for row in built.rows if isinstance(row, Row)]


def _clone(state: Run) -> None:
    from ascl.train.data import read_rows
    from ascl.train.sft import run_sft

    if state.checkpoint("bc").exists():  # stopped between the last write and the manifest's
        return
    if state.config.rl.arms and not _uncloned(state):
        raise InputError("rl.kinds: every train prompt of these kinds is cloned, so none is left for RL; add prompts")
    rows = read_rows([state.folder / "data" / "sft.jsonl"])
    config = state.config
    run_sft(
        config.model, rows, state.renderer, state.checkpoint("bc"), config.sft, config.lora, config.seed, config.dtype
    )


def _reinforce(state: Run, arm: Algorithm) -> None:
    from ascl.train.rl import run_rl

    if state.checkpoint(arm.name).exists():
        return
    config = state.config
    run_rl(
        model=str(state.checkpoint("bc")),
        prompts=_uncloned(state),
        renderer=state.renderer,
        tool=state.tool,
        judge=state.judge,
        out=state.checkpoint(arm.name),
        algorithm=arm,
        settings=config.rl.settings,
        rewards=config.reward,
        lora=config.lora,
        seed=config.seed,
        rollout_log=state.folder / "data" / "rollouts" / f"{arm.name}.jsonl",
        dtype=config.dtype,
    )


def _uncloned(state: Run) -> list[Prompt]:
    """The prompts of RL: no model of this run has been shown an answer to them."""
    cloned = {row.prompt for row in saved_rows(state.folder / "data" / "sft.jsonl", _Cloned)}
    return state.split("train", state.config.rl.kinds, without=cloned)


def best_checkpoint(config: RunConfig, folder: Path) -> tuple[str, float | None]:
    """The trained model of a run with the highest H-avg, the first of equals, and that (None where none has one)."""
    variants = read_json(folder / "metrics.json")["variants"]
    reached = {name: variants[name]["h_avg"]["value"] for name in ("bc", *config.rl.names)}
    best = max(reached, key=lambda name: -1.0 if reached[name] is None else reached[name])
    return best, reached[best]


def write_metrics(state: Run) -> None:
    """Write `metrics.json` from the records and training logs that are there."""
    names = [REPORT_NAMES.get(v, v) for v in state.config.variants] + ["bc", *state.config.rl.names]
    variants: dict[str, dict[str, Estimate]] = {}
    for name in names:
        variants[name] = measure(list(saved_rows(state.folder / "data" / "eval" / f"{name}.jsonl", Record)))
    metrics = {
        "variants": {name: {key: one.model_dump() for key, one in of.items()} for name, of in variants.items()},
        "warnings": variant_warnings(variants),
        "training": {
            arm: [_curve(row) for row in _log(state, arm) if "reward" in row] for arm in state.config.rl.names
        },
        "sft": [{"step": row["step"], "loss": row["loss"]} for row in _log(state, "bc") if "loss" in row],
        "judge": {"name": state.judge.name, "calibration": _calibration() if state.judge.name == "offline" else None},
    }
    write_json(state.folder / "metrics.json", metrics)


def variant_warnings(variants: Mapping[str, Mapping[str, Estimate]]) -> list[str]:
    """What must be read beside the figures of the variants: the answers that could not count in them."""
    axes = ("safety", "over_refusal", "reasoning", "hallucinated")
    return [
        line
        for name, figures in variants.items()
        for line in left_out_warnings({key: figures[key] for key in axes}, f"{name}, ")
    ]


def _calibration() -> dict[str, Any] | None:
    """How the judge agrees with human labels, where `ASCL_BENCH_DIR` holds them."""
    labels = Path(os.environ.get("ASCL_BENCH_DIR", "")) / "refusal_judge_calibration" / "xstest_human_labels.jsonl"
    if not labels.is_file():
        return None
    measured = calibrate(load_calibration(labels))
    return {"agreement": measured.agreement, "low": measured.low, "high": measured.high, "human labels": measured.n}


class _Cloned(BaseModel):
    """What of a cloned row RL looks at; a row that names no prompt is about the prompt of its id."""

    id: str
    prompt_id: str | None = None

    @property
    def prompt(self) -> str:
        """The id of the prompt that the row is about."""
        return self.prompt_id or self.id


class _Logged(BaseModel):
    """A row of a trainer's log: the step, and what was measured, by name. A figure that diverged is NaN."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    step: int


def _log(state: Run, name: str) -> list[dict[str, Any]]:
    rows = read_saved(state.checkpoint(name) / "training_log.json", list[_Logged])
    return [row.model_dump() for row in rows]


def _curve(row: dict[str, Any]) -> dict[str, Any]:
    kept = ("step", "reward", "loss", "entropy", "weight_consult", "weight_direct", "unjudged")
    point = {key: row[key] for key in row if key in kept or key.startswith(("reward_", "consult_rate"))}
    point = {key: value if math.isfinite(value) else None for key, value in point.items()}  # no verdict could be read
    if "consult_rate_harmful" in row and "consult_rate_sensitive" in row:
        point["selectivity"] = row["consult_rate_harmful"] - row["consult_rate_sensitive"]
    return point
