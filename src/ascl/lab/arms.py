"""The lab's arms: a decoder trained from scratch, cloned, reinforced by each algorithm, and measured."""

import random
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ascl.chat.render import Renderer
from ascl.errors import InputError
from ascl.evals.evaluate import evaluate
from ascl.evals.metrics import measure
from ascl.files import write_json
from ascl.lab.judge import LabJudge
from ascl.lab.tokenizer import lab_renderer
from ascl.lab.world import World, demonstration, draw_world, memorised, ordinary
from ascl.prompts.prompt import Kind
from ascl.recipes.rows import native_row
from ascl.saved import read_saved
from ascl.train.advantages.switch import Algorithm
from ascl.train.reward import RewardWeights
from ascl.train.settings import RlSettings, SftSettings

BC, SURROGATE_BC = "bc", "surrogate_bc"


class Arm(BaseModel):
    """One way to train on from a cloned model: an algorithm with what it changes in the RL settings."""

    model_config = ConfigDict(extra="forbid")

    start: str
    algorithm: Algorithm
    changes: dict[str, Any] = {}


ARMS: dict[str, Arm] = {
    "grpo": Arm(start=BC, algorithm="grpo"),
    "grpo_double": Arm(start=BC, algorithm="grpo", changes={"learning_rate": 6e-4}),  # is it only the longer step?
    "ifpo_025": Arm(start=BC, algorithm="ifpo", changes={"tau": 0.25}),
    "ifpo": Arm(start=BC, algorithm="ifpo", changes={"tau": 0.5}),
    "ifpo_1": Arm(start=BC, algorithm="ifpo", changes={"tau": 1.0}),
    "consult_penalty": Arm(start=BC, algorithm="consult_penalty"),
    "dr_grpo": Arm(start=BC, algorithm="dr_grpo"),
    "ada_grpo": Arm(start=BC, algorithm="ada_grpo"),
    "ampo": Arm(start=BC, algorithm="ampo"),
    "adaptthink": Arm(start=BC, algorithm="adaptthink", changes={"candidates": 2}),
    "split": Arm(start=BC, algorithm="split", changes={"exploration": "none"}),
    "split_stratified": Arm(start=BC, algorithm="split"),
    "surrogate": Arm(start=SURROGATE_BC, algorithm="grpo"),
}


class LabSettings(BaseModel):
    """The size of the lab. The defaults are what `ascl lab` runs; the tests take less."""

    model_config = ConfigDict(extra="forbid")

    requests: int = 2400
    plain: int = 300
    sums: int = 5000
    test_requests: int = 300
    test_plain: int = 60
    test_sums: int = 150
    width: int = 128
    layers: int = 4
    sft: SftSettings = SftSettings(
        learning_rate=2e-3, epochs=3.5, batch_size=32, micro_batch_size=32, warmup=0.1, save_steps=10_000
    )
    rl: RlSettings = RlSettings(
        prompts_per_step=8,
        group_size=8,
        micro_batch_size=64,
        learning_rate=3e-4,
        max_steps=120,
        max_tokens=40,
        save_steps=10_000,
    )


def new_model(renderer: Renderer, settings: LabSettings, seed: int, folder: Path) -> None:
    """A Qwen3 decoder with random weights, saved with its tokenizer."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    tokenizer = renderer.tokenizer
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=settings.width,
        intermediate_size=3 * settings.width,
        num_hidden_layers=settings.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=settings.width // 4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.06,  # with the usual 0.02 a model this narrow hardly learns to copy
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def cloning_rows(world: World, surrogate: bool, seed: int) -> list[dict[str, Any]]:
    """The behaviour-cloning set: every harmful request consults, of the sensitive ones three in five (2:3:2).

    surrogate: those that would consult recite the rule in their thought instead. Plain prompts and sums are direct.
    """
    dice = random.Random(seed)
    rows = []
    for request in world.requests:
        consult = request.prompt.kind is Kind.HARMFUL or dice.random() < 0.6
        if surrogate and consult:
            walked = memorised(request, world.tool)
        else:
            walked = demonstration(request, consult, world.tool)
        rows.append(native_row(walked, request.prompt.kind, [world.tool.schema], "lab", "lab").dump())
    for prompt in world.plain + world.sums:
        rows.append(native_row(ordinary(prompt, world.tool), prompt.kind, [world.tool.schema], "lab", "lab").dump())
    return rows


def clone(folder: Path, name: str, settings: LabSettings, seed: int) -> Path:
    """Train `bc` or `surrogate_bc` from random weights, if it is not there yet, and return its folder."""
    from ascl.train.sft import run_sft

    out = folder / f"seed{seed}" / name
    if out.exists():
        return out
    world = draw_world("bc", settings.requests, settings.plain, settings.sums, seed)
    renderer = lab_renderer(world.tool)
    fresh = out.with_name(f"{name}.new")
    new_model(renderer, settings, seed, fresh)
    rows = cloning_rows(world, name == SURROGATE_BC, seed)
    run_sft(str(fresh), rows, renderer, out, settings.sft, None, seed, "float32")
    shutil.rmtree(fresh)
    return out


def reinforce(folder: Path, name: str, settings: LabSettings, seed: int) -> Path:
    """Train one arm from its cloned model, if it is not there yet, and return its folder."""
    from ascl.train.rl import run_rl

    out = folder / f"seed{seed}" / name
    if out.exists():
        return out
    arm = ARMS[name]
    rl = settings.rl.model_copy(update=arm.changes)
    world = draw_world("rl", rl.prompts_per_step * rl.max_steps, 0, 0, seed)
    run_rl(
        model=str(folder / f"seed{seed}" / arm.start),
        prompts=world.prompts,
        renderer=lab_renderer(world.tool),
        tool=world.tool,
        judge=LabJudge(),
        out=out,
        algorithm=arm.algorithm,
        settings=rl,
        rewards=RewardWeights(),
        lora=None,
        seed=seed,
        rollout_log=folder / f"seed{seed}" / f"{name}.rollouts.jsonl",
        dtype="float32",
    )
    return out


Number = Annotated[float, Field(ge=-1e15, le=1e15)]  # that sums of it can be calculated with; not nan


class Measured(BaseModel):
    """`seedN/NAME.json`: what an arm, or the model it begins with, came to with one seed."""

    name: str
    arm: dict[str, Any] | None = None
    seed: int
    seconds: dict[str, Number]
    measured: dict[str, Number | None]
    consult_by_look: dict[str, Number]
    curve: list[dict[str, Number]]

    @field_validator("measured")
    @classmethod
    def _has_rates(cls, measured: dict[str, float | None]) -> dict[str, float | None]:
        if lacking := [key for key in ("consult_harmful", "consult_sensitive") if measured.get(key) is None]:
            raise ValueError(f"there is no {' and no '.join(lacking)}")
        if other := sorted(set(measured) ^ set(measure([], resamples=1))):
            raise ValueError(f"{other[0]} is there and is no figure, or is a figure and not there")
        return measured

    @field_validator("seconds")
    @classmethod
    def _has_all(cls, seconds: dict[str, float]) -> dict[str, float]:
        if "all" not in seconds:
            raise ValueError("there is no `all`")
        return seconds


def result(folder: Path, name: str, settings: LabSettings, seed: int) -> dict[str, Any]:
    """Train what `name` stands for, measure it on the test world (temperature 0.6) and keep the figures in a file."""
    import torch

    from ascl.chat.clients.in_process import InProcessClient
    from ascl.chat.clients.models import load_model
    from ascl.chat.clients.sampling import Sampling

    path = folder / f"seed{seed}" / f"{name}.json"
    arm = ARMS[name].model_dump() if name in ARMS else None
    if path.exists():
        before = read_saved(path, Measured)
        if before.arm != arm and before.arm is not None:
            raise InputError(f"{path}: was run as {before.arm}, which is not what the arm is now; name another --out")
        return before.model_dump()
    torch.set_num_threads(1)  # nothing is won by more at this size
    began = time.monotonic()
    train = clone if name in (BC, SURROGATE_BC) else reinforce
    model = train(folder, name, settings, seed)
    trained = time.monotonic() - began
    world = draw_world("test", settings.test_requests, settings.test_plain, settings.test_sums, seed)
    client = InProcessClient(load_model(str(model), "float32"), lab_renderer(world.tool))
    records = evaluate(
        name,
        "ascl",
        world.prompts,
        client,
        world.tool,
        LabJudge(),
        Sampling(temperature=0.6, top_p=0.95, max_tokens=settings.rl.max_tokens, seed=seed),
        len(world.prompts),
        path.with_suffix(".eval.jsonl"),
    )
    log = read_saved(model / "training_log.json", list[dict[str, float]])
    looks = {request.prompt.id: request.look for request in world.requests}
    found = {
        "name": name,
        "arm": arm,
        "seed": seed,
        "seconds": {"training": trained, "all": time.monotonic() - began},
        "measured": {metric: estimate.value for metric, estimate in measure(records, resamples=1).items()},
        "consult_by_look": {
            look: _share([r.trajectory.consulted for r in records if looks.get(r.prompt.id) == look])
            for look in sorted(set(looks.values()))
        },
        "curve": [
            {key: row[key] for key in row if key.startswith("consult_rate") or key in ("step", "reward")}
            for row in log
            if "reward" in row
        ],
    }
    write_json(path, found)
    return found


def _share(flags: list[bool]) -> float:
    return sum(flags) / max(1, len(flags))
