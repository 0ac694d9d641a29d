"""Whether what the settings of a training name is installed."""

import importlib.util
import os

from ascl.errors import InputError
from ascl.train.settings import DistillSettings, PreferenceSettings, RlSettings, SftSettings


def check_installed(settings: SftSettings | PreferenceSettings | RlSettings | DistillSettings) -> None:
    """Raise InputError where the settings name a package that is not there, or can't work with the launcher's."""
    names = {SftSettings: "sft", PreferenceSettings: "preference", RlSettings: "rl", DistillSettings: "distill"}
    where = next(name for kind, name in names.items() if isinstance(settings, kind))
    wanted: list[tuple[str, str]] = [] if settings.report_to == "none" else [("report_to", settings.report_to)]
    if isinstance(settings, RlSettings):
        if settings.vllm != "off":
            wanted.append(("vllm", "vllm"))
        elif os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("1", "true"):
            raise InputError("rl.vllm: off can't sample from weights that FSDP has split; use colocate or server")
    for field, package in wanted:
        if importlib.util.find_spec(package) is None:
            raise InputError(f"{where}.{field}: the package {package} is not installed (pip install {package})")
