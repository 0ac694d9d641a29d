"""The stages of a run, in order, and the work of each: data, training and evaluation of every (arm, seed).

data/NAME-SEED    the rows or pairs of an arm, with all that was sampled for them
arms/NAME-SEED    the model of an arm, its log (and its rollouts), as `ascl sft` and `ascl rl` leave them
evals/NAME-SEED   the evaluation of an arm, or of the untrained model in a variant, as `ascl eval` leaves it
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ascl.consult.variants import Variant
from ascl.data.rows import prompt_ids
from ascl.errors import InputError
from ascl.evals.evaluate import Planned, Subject, plan_evaluation
from ascl.files import write_json
from ascl.run.arms import BaseArm, DataArm, Job, World
from ascl.run.config import ZERO_SHOT, RunConfig
from ascl.train.portable import write_facts
from ascl.train.training import FACTS, LOG, Training


@dataclass(frozen=True)
class Stage:
    """One unit of a run that is done whole or again. of: an arm, or a variant of the untrained model."""

    work: Literal["data", "train", "evaluate"]
    of: str
    seed: int
    variant: Variant = "ascl"

    @property
    def unit(self) -> str:
        """The arm with its seed."""
        return f"{self.of}-{self.seed}"

    @property
    def name(self) -> str:
        """What the manifest, progress and pages call it."""
        return {"data": "data ", "train": "", "evaluate": "eval "}[self.work] + self.unit


def stages(config: RunConfig, world: World) -> list[Stage]:
    """What a run does: the untrained model in its variants, then each seed's arms, every one after its start."""
    greedy = all(asked.sampling.temperature == 0 for asked, _ in world.asked(config.seeds[0]).values())
    found = [
        Stage("evaluate", ZERO_SHOT if variant == "ascl" else variant, seed, variant)
        for variant in dict.fromkeys(config.evaluate.variants)
        for seed in (config.seeds[:1] if greedy else config.seeds)
    ]
    ordered = dict.fromkeys(one for name in config.arms for one in config.lineage(name))
    for seed in config.seeds:
        for name in ordered:
            works: list[Literal["data", "train", "evaluate"]] = ["data", "train", "evaluate"]
            found += [Stage(work, name, seed) for work in works if work != "data" or _makes_rows(config, name)]
    return found


def _makes_rows(config: RunConfig, name: str) -> bool:
    arm = config.arms[name]
    return isinstance(arm, DataArm) and not arm.data.rows


def do(stage: Stage, folder: Path, config: RunConfig, world: World) -> None:
    """The work of a stage; whatever of it is done already is not done again. Raises InputError."""
    if stage.work == "evaluate":
        evaluation(stage, folder, config, world).carry_out()
        return
    arm = config.arms[stage.of]
    if stage.work == "data":
        assert isinstance(arm, DataArm)
        world.make_rows(stage.of, arm, stage.seed, folder / "data" / stage.unit)
    else:
        _train(stage, arm, folder, config, world)


def model_of(folder: Path, name: str, seed: int) -> Path:
    """Where the model of an arm lies."""
    return folder / "arms" / f"{name}-{seed}"


def evaluation_of(folder: Path, name: str, seed: int) -> Path:
    """Where the evaluation of an arm or of a variant lies."""
    return folder / "evals" / f"{name}-{seed}"


def evaluation(stage: Stage, folder: Path, config: RunConfig, world: World) -> Planned:
    """The evaluation of a stage, ready to be carried out."""
    trained = stage.of in config.arms
    asked = world.asked(stage.seed)
    place = evaluation_of(folder, stage.of, stage.seed)
    subject = Subject(
        model=str(model_of(folder, stage.of, stage.seed)) if trained else world.base_model(stage.seed),
        name=stage.of if len(config.seeds) == 1 else stage.unit,
        dialect=config.dialect,
        dtype=config.dtype,
        arm=stage.of if trained else None,
        seed=stage.seed,
    )
    return plan_evaluation(
        subject,
        stage.variant,
        place,
        config.evaluation(stage.seed),
        asked,
        world.tool("test", stage.seed),
        config.rules.source,
        judges=world.judges(place),
    )


def _train(stage: Stage, arm: BaseArm, folder: Path, config: RunConfig, world: World) -> None:
    """Train an arm; a model whose facts are noted is whole, and was stopped between its last write and the manifest's.

    Raises InputError where its method leaves no model.
    """
    out = model_of(folder, stage.of, stage.seed)
    if (out / FACTS).exists():
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out, ignore_errors=True)  # half a model, of a method that writes it in place
    start = arm.start
    training = Training(
        model=world.base_model(stage.seed) if start is None else str(model_of(folder, start, stage.seed)),
        renderer=world.renderer(),
        out=out,
        lora=config.lora,
        seed=stage.seed,
        dtype=config.dtype,
    )
    job = Job(
        name=stage.of,
        training=training,
        world=world,
        settings=config.settings_of(arm),
        data=folder / "data" / stage.unit,
        shown=_shown(stage, folder, config),
    )
    arm.train(job)
    if not (out / "config.json").exists() and not (out / "adapter_config.json").exists():
        raise InputError(f"arms.{stage.of}: the method {arm.method} left no model in {out}")
    if not (out / LOG).exists():
        write_json(out / LOG, [])
    if not (out / FACTS).exists():
        tools = [world.tool("train", stage.seed).schema]
        write_facts(out, training, training.facts() | {"method": arm.method, "tools": tools})


def _shown(stage: Stage, folder: Path, config: RunConfig) -> frozenset[str]:
    """The ids of the prompts of whose answers an arm was shown some, itself or through what it starts from."""
    rows: list[Path] = []
    for name in config.lineage(stage.of):
        arm = config.arms[name]
        given = [Path(one) for one in arm.data.rows] if isinstance(arm, DataArm) else []
        rows += given or [folder / "data" / f"{name}-{stage.seed}" / "rows.jsonl"]
    return frozenset(prompt_ids([path for path in rows if path.exists()]))
