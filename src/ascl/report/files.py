"""What the report reads: the manifest, metrics and records of a run folder, checked as they are read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from ascl.errors import InputError, first_problem
from ascl.inputs import lines
from ascl.judges.record import Record
from ascl.saved import read_saved
from ascl.stats import Estimate, Number


class Judge(BaseModel):
    """Who gave the verdicts, and how that judge compares with human labels (None: never measured)."""

    name: str = ""
    calibration: dict[str, Any] | None = None


class Claim(BaseModel):
    """One line of a checklist: what a paper says, what was measured, and what that comes to."""

    text: str
    source: str = ""
    measured: str = ""
    difference: Estimate = Field(default_factory=Estimate)
    verdict: str


class Metrics(BaseModel):
    """`metrics.json`. Whatever a partial run has not reached is empty."""

    variants: dict[str, dict[str, Estimate | None]] = Field(default_factory=dict)
    training: dict[str, list[dict[str, Number]]] = Field(default_factory=dict)
    sft: list[dict[str, Number]] = Field(default_factory=list)
    judge: Judge | None = None
    warnings: list[str] = Field(default_factory=list)
    claims: list[Claim] = Field(default_factory=list)


class Book(BaseModel):
    """The rule book a run consulted."""

    hash: str = ""
    rules: int | None = None


class Stage(BaseModel):
    """One stage of the pipeline."""

    seconds: Number = None


class Manifest(BaseModel):
    """`manifest.json`: what was run, where and with which versions."""

    name: str
    created: str = ""
    machine: Any = None
    versions: dict[str, Any] = Field(default_factory=dict)
    model: Any = None
    rule_book: Book | None = None
    stages: dict[str, Stage] = Field(default_factory=dict)
    seed: int | None = None


def read_manifest(run: Path) -> Manifest:
    """The manifest of a run folder. Raises InputError."""
    return read_saved(run / "manifest.json", Manifest)


def read_metrics(run: Path) -> Metrics:
    """The metrics of a run folder. Raises InputError."""
    return read_saved(run / "metrics.json", Metrics)


def read_records(path: Path) -> Iterator[Record]:
    """The records of one JSONL file, one at a time. Raises InputError naming file and line."""
    for number, line in lines(path):
        if line.strip():
            try:
                yield Record.model_validate_json(line)
            except ValidationError as error:
                raise InputError(f"{path}:{number}: {first_problem(error)}") from None
