"""Where and with what a figure was made, and whether a folder holds the same run: one function, one message."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("ascl", "torch", "trl", "transformers", "peft", "accelerate", "datasets", "openai", "bm25s")
_LONGEST = 60  # characters of a value in a message


def now() -> str:
    """The time, to the minute, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


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


def versions() -> dict[str, str]:
    """The installed versions of what figures depend on."""
    return {package: version(package) for package in PACKAGES}


def version(package: str = "ascl") -> str:
    """The installed version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def changes(before: Mapping[str, Any], now: Mapping[str, Any], of: str = "") -> list[str]:
    """Which facts are not what they were, each as `name (this, now that)`; facts inside facts by their path.

    Only what is known now counts: a folder of weights that is gone since changes nothing. What `before` does not note
    (an older version wrote it) is a change.
    """
    found = []
    for name, new in now.items():
        old = before.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += changes(old, new, f"{of}{name}.")
        elif old != new:
            found.append(f"{of}{name} ({_said(old) if name in before else 'not noted'}, now {_said(new)})")
    return found


def _said(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} .."
