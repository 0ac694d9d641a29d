"""`ascl run`: from a configuration to models, evaluations and a page. A second run does no finished stage again.

Arms and seeds may be added to a finished run. Whatever else differs is named, and nothing is done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from ascl import provenance
from ascl.errors import InputError
from ascl.evals.arms import Claim, RunResults
from ascl.evals.results import read_results
from ascl.files import write_json, write_text
from ascl.folders import working_in
from ascl.inputs import read_json
from ascl.models.dtype import machine_dtype
from ascl.preflight import check_servers, check_writable
from ascl.provenance import changes
from ascl.run.arms import World
from ascl.run.checks import check_left, servers_of
from ascl.run.config import RunConfig
from ascl.run.figures import run_results
from ascl.run.parallel import do_all
from ascl.run.stages import Stage, model_of, stages
from ascl.run.world import ConfiguredWorld
from ascl.saved import read_saved
from ascl.train.portable import write_card

Claims = Callable[[Path, RunResults], list[Claim]]


@dataclass
class Run:
    """A run's folder in the making. manifest: what `manifest.json` holds."""

    folder: Path
    config: RunConfig
    world: World
    manifest: dict[str, Any]

    @property
    def stages(self) -> list[Stage]:
        """All stages, in order."""
        return stages(self.config, self.world)

    def is_done(self, stage: Stage) -> bool:
        """Whether the manifest says so."""
        return stage.name in self.manifest["stages"]

    def finished(self, stage: Stage, seconds: float) -> None:
        """Note in the manifest that a stage is done."""
        self.manifest["stages"][stage.name] = {"seconds": round(seconds, 1)}
        write_json(self.folder / "manifest.json", self.manifest)


class _Done(BaseModel):
    """A finished stage."""

    model_config = ConfigDict(extra="allow")

    seconds: float


class _Config(BaseModel):
    """A configuration as it was: what is looked into before it is compared."""

    model_config = ConfigDict(extra="allow")

    arms: dict[str, Any] = Field(default_factory=dict)


class Manifest(BaseModel):
    """What of a `manifest.json` the next run reads. config: as it was, with every arm that was ever in it."""

    stages: dict[str, _Done]
    facts: dict[str, Any] = Field(default_factory=dict)
    config: _Config = _Config()


def run(
    config: RunConfig,
    folder: Path,
    world: World | None = None,
    processes: int = 1,
    claims: Claims | None = None,
) -> RunResults:
    """Carry a run through to its page, `report.html`, and return what it came to. Raises InputError on bad input.

    world: what the configuration names, unless given. processes: how many arms are trained side by side, with a thread
    each. claims: a checklist for the page, from the folder and the results.
    """
    with working_in(folder):
        state = open_run(config, folder, world)
        write_text(folder / "config.yaml", dumped(state.config))
        write_json(folder / "manifest.json", state.manifest)
        left = [stage for stage in state.stages if not state.is_done(stage)]
        do_all(left, folder, state.config, state.world, processes, state.finished)
        results = run_results(folder, state.config, state.stages, state.manifest)
        if claims is not None:
            results = results.model_copy(update={"claims": claims(folder, results)})
        write_json(folder / "results.json", results.model_dump(mode="json"))
        _write_cards(folder, results)
        from ascl.report.page import build_page

        build_page([], folder / "report.html", folder)
        return results


def _write_cards(folder: Path, results: RunResults) -> None:
    """Put the figures of each trained model into its card."""
    for arm in results.arms:
        for seed, place in zip(arm.seeds, arm.evaluations, strict=True):
            if arm.trained:
                found = read_results(folder / place)
                asked = ", ".join(f"{name} ({one.prompts})" for name, one in found.benchmarks.items())
                of = f"Benchmarks and prompts: {asked}. Judge: {found.judge}. Seed {seed}."
                write_card(model_of(folder, arm.name, seed), found.summary, of)


def open_run(config: RunConfig, folder: Path, world: World | None = None) -> Run:
    """Look for all that the stages to come will need, and whether the folder holds this run. Nothing is written.

    Raises InputError where something is missing, or the folder holds a run that differs: in which settings, rule book,
    prompts or model.
    """
    check_writable(folder)
    before = _begun(folder)
    configured = world is None
    if world is None:
        check_servers(servers_of(config, before.stages if before else ()))  # before torch is imported: in seconds
    config = config.model_copy(update={"dtype": machine_dtype(config.dtype)})
    world = world or ConfiguredWorld(config)
    now = config.model_dump(mode="json", by_alias=True)
    if before is not None:
        _check_same(folder, before.config.model_dump(), now)
        now["arms"] = before.config.arms | now["arms"]
    facts = world.facts()
    if before is not None and (changed := changes(before.facts, facts)):
        raise InputError(f"{folder}: holds a run with another {', '.join(changed)}; name another --out or pass --fresh")
    manifest = {
        "name": folder.name,
        "created": provenance.now(),
        "machine": provenance.machine(),
        "versions": provenance.versions(),
        "model": config.model,
        "facts": facts,
        "config": now,
        "stages": {},
    }
    if before is not None:
        manifest |= read_json(folder / "manifest.json") | {"config": now}
    state = Run(folder, config, world, manifest)
    left = [stage for stage in state.stages if not state.is_done(stage)]
    if configured:
        assert isinstance(world, ConfiguredWorld)
        check_left(left, folder, config, world)
    return state


def dumped(config: RunConfig) -> str:
    """A configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)


def _begun(folder: Path) -> Manifest | None:
    """The manifest of the run that a folder holds, if it holds one. Raises InputError."""
    path = folder / "manifest.json"
    return read_saved(path, Manifest) if path.exists() else None


def _check_same(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise InputError where a run's configuration is not what it was, but for arms, seeds and variants.

    An arm that was there before must be what it was.
    """
    compared = without_addresses(now)
    old = without_addresses(before)
    known = old.get("arms", {})
    compared["arms"] = {name: arm for name, arm in compared["arms"].items() if name in known}
    compared["evaluate"] = {key: value for key, value in compared["evaluate"].items() if key != "variants"}
    del compared["seeds"]
    if changed := changes(old, compared):
        raise InputError(f"{folder}: holds a run with another {', '.join(changed)}; name another --out or pass --fresh")


def without_addresses(settings: Any) -> Any:
    """Settings without where servers are: that is no part of what a run depends on."""
    if isinstance(settings, dict):
        kept = {key: value for key, value in settings.items() if key != "vllm_server" and not key.endswith("base_url")}
        return {key: without_addresses(value) for key, value in kept.items()}
    if isinstance(settings, list):
        return [without_addresses(value) for value in settings]
    return settings
