"""The stages of a run, in order, and the work of each: data, training and evaluation of every (arm, seed).

data/NAME-SEED    the rows of a supervised arm, with all that was sampled for them
arms/NAME-SEED    the model of an arm, its log (and its rollouts), as `ascl sft` and `ascl rl` leave them
evals/NAME-SEED   the evaluation of an arm, or of the untrained model in a variant, as `ascl eval` leaves it
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ascl.consult.variants import Variant
from ascl.errors import InputError
from ascl.evals.evaluate import Planned, Subject, plan_evaluation
from ascl.prompts.prompt import Prompt
from ascl.run.config import ZERO_SHOT, RlArm, RunConfig, SftArm
from ascl.run.world import World
from ascl.train.data import read_rows
from ascl.train.training import Training


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
    return isinstance(arm, SftArm) and not arm.data.rows


def do(stage: Stage, folder: Path, config: RunConfig, world: World) -> None:
    """The work of a stage; whatever of it is done already is not done again. Raises InputError."""
    if stage.work == "evaluate":
        evaluation(stage, folder, config, world).carry_out()
        return
    arm = config.arms[stage.of]
    if isinstance(arm, RlArm):
        _reinforce(stage, arm, folder, config, world)
    elif stage.work == "data":
        world.rows(stage.of, arm, stage.seed, folder / "data" / stage.unit)
    else:
        _fine_tune(stage, arm, folder, config, world)


def model_of(folder: Path, name: str, seed: int) -> Path:
    """Where the model of an arm lies."""
    return folder / "arms" / f"{name}-{seed}"


def evaluation(stage: Stage, folder: Path, config: RunConfig, world: World) -> Planned:
    """The evaluation of a stage, ready to be carried out."""
    trained = stage.of in config.arms
    asked = world.asked(stage.seed)
    place = folder / "evals" / stage.unit
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


def _training(stage: Stage, start: str | None, folder: Path, config: RunConfig, world: World) -> Training:
    out = model_of(folder, stage.of, stage.seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    return Training(
        model=world.base_model(stage.seed) if start is None else str(model_of(folder, start, stage.seed)),
        renderer=world.renderer(),
        out=out,
        lora=config.lora,
        seed=stage.seed,
        dtype=config.dtype,
    )


def _fine_tune(stage: Stage, arm: SftArm, folder: Path, config: RunConfig, world: World) -> None:
    from ascl.train.sft import run_sft

    training = _training(stage, arm.start, folder, config, world)
    if not training.out.exists():  # else it was stopped between the last write and the manifest's
        rows = world.rows(stage.of, arm, stage.seed, folder / "data" / stage.unit)
        run_sft(training, rows, config.sft_settings(arm))


def _reinforce(stage: Stage, arm: RlArm, folder: Path, config: RunConfig, world: World) -> None:
    from ascl.train.rl import run_rl

    training = _training(stage, arm.start, folder, config, world)
    if not training.out.exists():
        prompts = rl_prompts(stage, arm, folder, config, world)
        settings, tool = config.rl_settings(arm), world.tool("train", stage.seed)
        judge = world.reward_judge(folder / "data" / stage.unit)
        run_rl(training, prompts, tool, judge, arm.algorithm, settings)


def rl_prompts(stage: Stage, arm: RlArm, folder: Path, config: RunConfig, world: World) -> list[Prompt]:
    """The prompts of an RL arm, without those its model was shown answers to. Raises InputError where none is left."""
    shown: set[str] = set()
    for name in config.lineage(stage.of):
        if isinstance(config.arms[name], SftArm):
            rows = folder / "data" / f"{name}-{stage.seed}" / "rows.jsonl"
            shown |= {row.prompt_id for row in read_rows([rows])} if rows.exists() else set()
    prompts = world.rl_prompts(arm, stage.seed, shown)
    if not prompts:
        raise InputError(
            f"arms.{stage.of}: every train prompt of the kinds in rl.kinds was shown with its answer to the model this "
            "arm goes on from, so none is left for RL; add prompts"
        )
    return prompts
