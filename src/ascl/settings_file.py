"""A YAML file of settings, read as the pydantic model it must fit; `${NAME}` in it is an environment variable."""

import os
import re
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ascl.errors import InputError, first_problem
from ascl.inputs import LONGEST_TEXT, parse_yaml, read_text

Settings = TypeVar("Settings", bound=BaseModel)


def read_settings(path: Path, kind: type[Settings]) -> Settings:
    """The settings of a file. Raises InputError naming the file and the line or field."""
    data = parse_yaml(path, _with_environment(path, read_text(path)))
    if not isinstance(data, dict):
        raise InputError(f"{path}: a mapping of settings is expected")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error, data)}") from error


def _with_environment(path: Path, text: str) -> str:
    """The text with `${NAME}` replaced; a line that is only comment is left alone, a value is not looked at again."""
    lines, room = text.split("\n"), LONGEST_TEXT
    for index, line in enumerate(lines):
        if line.lstrip().startswith("#"):
            continue
        parts = re.split(r"\$\{(\w+)\}", line)  # every second one is a name
        for at in range(1, len(parts), 2):
            where, name = f"{path}, line {index + 1}", parts[at]
            if name not in os.environ:
                raise InputError(f"{where}: the environment variable {name} is not set")
            parts[at] = os.environ[name]
            room -= len(parts[at])
            if room < 0:
                raise InputError(f"{where}: the values of the environment variables make the file too long")
        lines[index] = "".join(parts)
    return "\n".join(lines)
