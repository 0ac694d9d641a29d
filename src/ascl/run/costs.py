"""What a run would do and cost, in words, without doing it: `ascl plan` and `ascl config check`."""

from pathlib import Path
from tempfile import TemporaryDirectory

from ascl.data.rows import read_pairs, read_rows
from ascl.errors import InputError
from ascl.models.dtype import machine_dtype
from ascl.models.model_folder import load_config as model_config
from ascl.recipes.demonstrations import fitting
from ascl.run.arms import DataArm, DistillArm, EditArm, RlArm
from ascl.run.config import RunConfig
from ascl.run.stages import stages
from ascl.run.world import ConfiguredWorld, plays_demonstrations
from ascl.train.costs import model_shape
from ascl.train.plan import Lengths, MeasuredStep, Memory, lengths_of, measure_step, plan_memory
from ascl.train.prompt_order import steps_of
from ascl.train.settings import PreferenceSettings, SftSettings
from ascl.train.training import Training


def costs_of(config: RunConfig, measured: bool = False) -> list[str]:
    """Lines: stages; rows, prompts, steps and memory of each arm; the most that is sampled. Raises InputError.

    measured: run a step of each RL arm, and say how long all of them would take.
    """
    world = ConfiguredWorld(config)
    planned = stages(config, world)
    asked = world.asked(config.seeds[0])
    answers = sum(one.prompts * one.epochs for one, _ in asked.values())
    most = sum(one.prompts * one.epochs * one.sampling.max_tokens for one, _ in asked.values())
    evaluations = sum(stage.work == "evaluate" for stage in planned)
    lines = [
        f"{len(planned)} stages: {', '.join(stage.name for stage in planned)}",
        f"{len(config.arms)} arms, seeds {', '.join(map(str, config.seeds))}",
        f"{evaluations} evaluations of {answers} answers ({', '.join(asked)}), at most {most:,} tokens a turn of all",
    ]
    for name, arm in config.arms.items():
        does: str = arm.method
        if isinstance(arm, DataArm):
            does = _rows(arm, world)
        elif isinstance(arm, RlArm):
            does = _rl(name, arm, world, measured)
        elif isinstance(arm, EditArm):
            does = _edit(arm)
        elif isinstance(arm, DistillArm):
            does = _distill(arm, world)
        lines.append(f"{name}: {does}")
    return lines


def _rows(arm: DataArm, world: ConfiguredWorld) -> str:
    world.check_rows(arm)
    settings = world.config.settings_of(arm)
    assert isinstance(settings, SftSettings | PreferenceSettings)
    passes = f"{settings.epochs:g} epochs in batches of {settings.batch_size}"
    if arm.data.rows:
        files = [Path(one) for one in arm.data.rows]
        given = f"{len(read_pairs(files))} pairs" if arm.pairs else f"{len(read_rows(files))} rows"
        return f"{arm.method}, {given}, {passes}"
    if plays_demonstrations(arm.data):
        shown, strays = fitting(world.tool("train", 0), arm.data.books)
        return f"sft, of {len(shown)} shipped demonstrations ({len(strays)} do not fit the rule book), {passes}"
    made = "pairs" if arm.pairs else "rows"
    return f"{arm.method}, {made} by the recipe {arm.data.recipe} with {arm.data.model or world.config.model}, {passes}"


def _rl(name: str, arm: RlArm, world: ConfiguredWorld, measured: bool) -> str:
    settings = world.config.rl_settings(arm)
    prompts = world.rl_prompts(arm, 0, ())
    steps = steps_of(settings, len(prompts))
    rollouts = settings.prompts_per_step * settings.group_size
    memory = memory_of(name, world.config)
    line = (
        f"rl by {arm.algorithm.type}, {steps} steps of {rollouts} rollouts ({settings.group_size} of each prompt), at "
        f"most {steps * rollouts * 2 * settings.max_tokens:,} sampled tokens; {memory.total:.1f} GiB by formula"
    )
    if not measured:
        return line
    found = measure_arm(name, world)
    hours = steps * len(world.config.seeds) * found.seconds / 3600
    return (
        f"{line}, {found.peak_gib:.1f} measured; a step takes {found.seconds:.0f} s here, all take {hours:.1f} hours "
        f"({found.tokens:.0f} tokens a rollout, of the model before this run trains it)"
    )


def _edit(arm: EditArm) -> str:
    states = len(arm.shares) * (arm.iterations + 1)
    return f"edit, at most {states} times {4 * arm.prompts} replies of at most {arm.max_tokens} tokens"


def _distill(arm: DistillArm, world: ConfiguredWorld) -> str:
    steps = steps_of(arm, len(world.train_prompts(arm.kinds, 0, ())))
    return f"distill, {steps} steps of {arm.prompts_per_step} replies of at most {arm.max_tokens} tokens"


def rl_arm(name: str, config: RunConfig) -> RlArm:
    """The RL arm of that name. Raises InputError."""
    arm = config.arms.get(name)
    if not isinstance(arm, RlArm):
        known = ", ".join(one for one, of in config.arms.items() if isinstance(of, RlArm))
        raise InputError(f"--arm {name}: no RL arm of this configuration; use one of {known or 'none'}")
    return arm


def memory_of(name: str, config: RunConfig, processes: int = 1, sharded: bool = False, device_gib: float = 0) -> Memory:
    """The memory of a process of an RL arm, by formula. Prompt and tool tokens are counted. Raises InputError."""
    arm, world = rl_arm(name, config), ConfiguredWorld(config)
    shape = model_shape(config.model, model_config(config.model))
    prompts = world.rl_prompts(arm, 0, ())
    lengths: Lengths = lengths_of(prompts, world.renderer(), world.tool("train", 0))
    dtype = machine_dtype(config.dtype) if config.dtype != "auto" else "bfloat16"
    return plan_memory(shape, config.rl_settings(arm), lengths, config.lora, dtype, processes, sharded, device_gib)


def measure_arm(name: str, world: ConfiguredWorld) -> MeasuredStep:
    """A step of an RL arm as it is run on this machine, from the run's model."""
    config, arm = world.config, rl_arm(name, world.config)
    training = Training(
        model=config.model,
        renderer=world.renderer(),
        out=Path("measured"),
        lora=config.lora,
        dtype=machine_dtype(config.dtype),
    )
    with TemporaryDirectory() as folder:
        judge = world.reward_judge(Path(folder))
        prompts, tool = world.rl_prompts(arm, 0, ()), world.tool("train", 0)
        return measure_step(training, prompts, tool, judge, arm.algorithm, config.rl_settings(arm))
