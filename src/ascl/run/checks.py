"""What the stages of a run will need, looked at before the first of them begins.

Every check raises InputError with one line.
"""

from collections.abc import Container, Sequence
from pathlib import Path

from ascl.preflight import RECORDS, Server, check_judge, check_space, judge_servers, model_config
from ascl.recipes.data_set import SECOND_MODELS
from ascl.run.arms import DataArm, EditArm, RlArm
from ascl.run.config import RunConfig
from ascl.run.stages import Stage, model_of
from ascl.run.world import ConfiguredWorld, plays_demonstrations
from ascl.train.costs import parameters_of
from ascl.train.settings import Lora, RlSettings


def servers_of(config: RunConfig, done: Container[str]) -> list[Server]:
    """The servers that a run asks, but for those of arms whose every seed is trained."""
    found: list[Server] = []
    for name, arm in config.arms.items():
        if all(f"{name}-{seed}" in done for seed in config.seeds):
            continue
        if isinstance(arm, RlArm):
            found += judge_servers(config.judge) + rollout_servers(config.rl_settings(arm))
        elif isinstance(arm, EditArm):
            found += judge_servers(config.judge)
        elif isinstance(arm, DataArm) and arm.data.base_url is not None and not arm.data.rows:
            found.append(Server(f"arms.{name}.data.model", arm.data.model, arm.data.base_url))
        if isinstance(arm, DataArm) and not arm.data.rows and not plays_demonstrations(arm.data):
            for role in SECOND_MODELS:
                model, address = (arm.data.parameters.get(key) for key in (role, f"{role}_base_url"))
                if isinstance(address, str) and address:
                    found.append(Server(f"arms.{name}.data.parameters.{role}", model, address))
            found += judge_servers(config.judge)
    evaluated = [f"eval {name}-{seed}" for name in config.arms for seed in config.seeds]
    if not all(name in done for name in evaluated) or not config.arms:
        found += [server for judge in config.evaluate.judges for server in judge_servers(judge)]
    return found


def check_left(left: Sequence[Stage], folder: Path, config: RunConfig, world: ConfiguredWorld) -> None:
    """Look for what these stages need: extras, rows, prompts, models, judges, disk space."""
    if not left:
        return
    for name in dict.fromkeys(stage.of for stage in left if stage.work != "evaluate"):
        arm = config.arms[name]
        arm.check(name, config.settings_of(arm), world)
    world.renderer()
    model_config(config.model)
    for judge in [*world.judges(folder), world.reward_judge(folder)]:
        check_judge(judge)
    training = [stage for stage in left if stage.work == "train"]
    edits = [stage for stage in training if isinstance(config.arms[stage.of], EditArm)]
    trained = [model_of(folder, stage.of, stage.seed) for stage in training if stage not in edits]
    space = training_space(config.model, config.dtype, config.lora, trained)
    space += len(edits) * model_size(config.model, config.dtype)
    check_space(folder, space + RECORDS, f"what is left of this run ({len(training)} models)")


def rollout_servers(settings: RlSettings) -> list[Server]:
    """The server that samples the rollouts of RL, where it is not the training itself."""
    return [Server("rl.vllm_server", None, settings.vllm_server)] if settings.vllm == "server" else []


def training_space(name: str, dtype: str, lora: Lora | None, outs: Sequence[Path]) -> float:
    """Bytes on disk of trainings that follow each other, each ending in a model at one of `outs`.

        models * size + 3 * 12 * trained - what the trainers' checkpoints hold already

    size: of a finished model, P parameters in `dtype`, or the float32 adapters. A trainer's checkpoint holds float32
    weights and the two moments of Adam, 12 bytes for each trained parameter; two are kept while a third is written.
    """
    if not outs:
        return 0
    _, trained = parameters_of(model_config(name), lora)
    size = model_size(name, dtype) if lora is None else 4 * trained
    written = sum(
        path.stat().st_size
        for out in outs
        for path in out.with_name(f"{out.name}.trainer").rglob("*")
        if path.is_file()
    )
    return max(len(outs) * size + 3 * 12 * trained - written, 0)


def model_size(name: str, dtype: str) -> float:
    """Bytes on disk of a whole model, its adapters merged, in `dtype`."""
    parameters, _ = parameters_of(model_config(name), None)
    return parameters * (4 if dtype == "float32" else 2)
