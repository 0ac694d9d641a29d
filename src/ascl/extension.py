"""What a user adds without a fork: something in a module of their own, named by its import path `package.module:NAME`.

The module is one that Python can import: it is installed, or its folder is in PYTHONPATH. Importing runs code, so a
path is taken from configurations and the command line alone, never from a model's folder, a data set or a server.
docs/extending.md has what can be added.
"""

import importlib
import re
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from ascl.errors import InputError, first_problem

if TYPE_CHECKING:
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")
_MODULE = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_PATH = re.compile(rf"{_MODULE}:[A-Za-z_]\w*", re.ASCII)
_HINT = "is it installed, or its folder in PYTHONPATH?"


def is_import_path(name: str) -> bool:
    """Whether a name has the form `package.module:NAME`."""
    return _PATH.fullmatch(name) is not None


def imported_module(name: str) -> ModuleType:
    """The module of that name. Raises InputError where it can't be imported, whatever it does then."""
    if not re.fullmatch(_MODULE, name, re.ASCII):
        raise InputError(f"{name}: is no name of a module (package.module)")
    return _import(name, name)


def _import(module: str, named: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:  # it is the user's code
        what = f"{type(error).__name__}: {error}"
        raise InputError(f"{named}: can't be imported ({what}); {_HINT}") from error


def imported(path: str) -> Any:
    """What stands at `package.module:NAME`. Raises InputError."""
    module, _, name = path.partition(":")
    try:
        return getattr(_import(module, path), name)
    except AttributeError as error:
        raise InputError(f"{path}: can't be imported (module {module} has no {name})") from error


def imported_settings(path: str, base: type[Model], value: Any) -> Model:
    """`value` read by the class at `path`, which must be a subclass of `base` (pydantic). Raises InputError."""
    from pydantic import ValidationError

    found = imported(path)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InputError(f"{path}: is no subclass of {base.__module__}.{base.__qualname__}")
    try:
        return found.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}") from error
