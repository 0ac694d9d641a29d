"""What an earlier run of ours wrote, read back: what is damaged, edited or of another version is one line."""

from collections.abc import Hashable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from ascl.errors import InputError, first_problem
from ascl.inputs import iterate_jsonl, read_json

T = TypeVar("T")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def checked(kind: type[T], value: Any, where: str) -> T:
    """A value as the type it must have. Raises InputError that names the place and the field."""
    try:
        return _adapter(cast(Hashable, kind)).validate_python(value)
    except ValidationError as error:
        problem = first_problem(error)
    except RecursionError:
        problem = "nested too deeply"
    raise InputError(f"{where}: {problem}; it is damaged, or another version of ascl wrote it")


def read_saved(path: Path, kind: type[T]) -> T:
    """The value of a JSON file. Raises InputError."""
    return checked(kind, read_json(path), str(path))


def saved_rows(path: Path, kind: type[T]) -> Iterator[T]:
    """The records of a JSONL file, one at a time. Raises InputError naming the line."""
    for number, row in iterate_jsonl(path):
        yield checked(kind, row, f"{path}, line {number}")
