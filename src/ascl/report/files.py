"""What the report reads: the manifest, metrics and records of a run folder, checked as they are read."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from ascl.judges.record import Record


def finite(value: float | None) -> float | None:
    """The value, or None where it is NaN, infinite or absurd: a diverged loss is a gap, not a broken page."""
    return value if value is not None and math.isfinite(value) and abs(value) < 1e100 else None


Number = Annotated[float | None, AfterValidator(finite)]


class Estimate(BaseModel):
    """One metric of one variant with its 95 % interval."""

    value: Number = None
    low: Number = None
    high: Number = None
    n: int | None = None


class Judge(BaseModel):
    """Who gave the verdicts, and how that judge compares with human labels (None: never measured)."""

    name: str = ""
    calibration: dict[str, Any] | None = None


class Metrics(BaseModel):
    """`metrics.json`. Whatever a partial run has not reached is empty."""

    variants: dict[str, dict[str, Estimate | None]] = Field(default_factory=dict)
    training: dict[str, list[dict[str, Number]]] = Field(default_factory=dict)
    sft: list[dict[str, Number]] = Field(default_factory=list)
    judge: Judge | None = None


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


def _problem(error: ValidationError) -> str:
    """The first complaint of a validation error, in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    message = " ".join(first["msg"].split())
    return f"{place}: {message}" if place else message


def _document(path: Path) -> Any:
    """The JSON value of a whole file. Raises ValueError naming the file, and the line where the JSON breaks."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    except (OSError, RecursionError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None


def read_manifest(run: Path) -> Manifest:
    """The manifest of a run folder. Raises ValueError."""
    path = run / "manifest.json"
    try:
        return Manifest.model_validate(_document(path))
    except ValidationError as error:
        raise ValueError(f"{path}: {_problem(error)}") from None


def read_metrics(run: Path) -> Metrics:
    """The metrics of a run folder. Raises ValueError."""
    path = run / "metrics.json"
    try:
        return Metrics.model_validate(_document(path))
    except ValidationError as error:
        raise ValueError(f"{path}: {_problem(error)}") from None


def read_records(path: Path) -> Iterator[Record]:
    """The records of one JSONL file, one at a time. Raises ValueError naming file and line."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        yield Record.model_validate_json(line)
                    except ValidationError as error:
                        raise ValueError(f"{path}:{number}: {_problem(error)}") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
