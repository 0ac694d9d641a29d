"""`ascl lab`: a run in a world of its own, with the paper's claims as a checklist."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from ascl.errors import InputError
from ascl.evals.arms import Claim, RunResults
from ascl.evals.results import read_results
from ascl.inputs import parse_yaml
from ascl.lab.claims import Seed, checklist
from ascl.lab.lab_world import Consults, LabSizes, LabWorld
from ascl.run.config import RunConfig
from ascl.run.figures import curve_point
from ascl.run.run import run
from ascl.run.stages import evaluation_of, model_of
from ascl.saved import read_saved
from ascl.train.training import LOG

# What the cloning rows of each world show (docs/lab.md).
WORLDS = {
    "default": Consults(),
    "high_start": Consults(harmful=0.93, sensitive=0.93),
    "consulted_sums": Consults(sums=0.7),
}


def lab_config(
    arms: Sequence[str] = (), seeds: Sequence[int] = (), steps: int = 0, world: str = "default"
) -> RunConfig:
    """The lab's configuration (`lab.yaml`), with a part of its arms, other seeds or another number of RL steps.

    An arm brings the one it begins with. world: one of `WORLDS`; what its cloning rows show stands in the parameters of
    the cloned arms' data. Raises InputError for an arm or a world that is not there.
    """
    if world not in WORLDS:
        raise InputError(f"--world {world}: unknown, use one of {', '.join(WORLDS)}")
    path = Path(str(files("ascl.lab") / "lab.yaml"))
    settings = parse_yaml(path, path.read_text(encoding="utf-8"))
    for arm in settings["arms"].values():
        if arm["method"] == "sft":
            arm["data"] = arm.get("data", {}) | {"parameters": WORLDS[world].model_dump(exclude_unset=True)}
    config = RunConfig.model_validate(settings)
    if unknown := [name for name in arms if name not in config.arms]:
        raise InputError(f"--arms {', '.join(unknown)}: unknown, use some of {', '.join(config.arms)}")
    wanted = {one for name in arms or config.arms for one in config.lineage(name)}
    rl = config.rl.model_copy(update={"max_steps": steps}) if steps else config.rl
    kept = {name: arm for name, arm in config.arms.items() if name in wanted}
    return config.model_copy(update={"arms": kept, "seeds": list(seeds) or config.seeds, "rl": rl})


def run_lab(config: RunConfig, folder: Path, processes: int = 1, sizes: LabSizes | None = None) -> RunResults:
    """Train and measure what is not there yet, and write the page. Raises InputError where the folder holds another."""
    world = LabWorld(config, folder, sizes or LabSizes())
    return run(config, folder, world, processes, claims=lambda place, _: _claims(place, config))


def _claims(folder: Path, config: RunConfig) -> list[Claim]:
    return checklist([{name: _seed(folder, name, seed) for name in config.arms} for seed in config.seeds])


def _seed(folder: Path, name: str, seed: int) -> Seed:
    """What an arm came to with one seed: its figures, and its training step by step."""
    results = read_results(evaluation_of(folder, name, seed))
    figures = {figure: estimate.value for figure, estimate in results.summary.items()}
    figures["consult_reasoning"] = results.benchmarks["lab_reasoning"].figures["consulted"].value
    log = read_saved(model_of(folder, name, seed) / LOG, list[dict[str, Any]])
    return Seed(figures, [curve_point(row) for row in log if "reward" in row])
