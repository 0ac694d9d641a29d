"""How the command line begins and fails: bad input is one line on stderr and exit code 2, never a traceback."""

import io
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from ascl.errors import InputError, first_problem, missing_extra
from ascl.terminal import echo

_MAY_BE_EMPTY = ("--base-url", "--sizes", "--arms")  # an empty text is as good as none
_LONGEST_LINE = 2000  # characters of an error that are shown


class InputErrorGroup(TyperGroup):
    """The root command, with what the user can mend turned into one line and exit code 2.

    That is a mistake in the arguments, `InputError`, a file or disk that fails, and an extra that is not installed.
    Ctrl-C leaves quietly with 130.
    """

    def make_context(self, info_name: Any, args: list[str], *rest: Any, **extra: Any) -> Any:
        """Read the arguments before the command's name; all arguments must be text."""
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # what is typed or piped in may be no UTF-8
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not have every character
        with _in_one_line():
            _check_arguments(args)
            return super().make_context(info_name, args, *rest, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with _in_one_line():
            return super().invoke(ctx)


def _check_arguments(args: list[str]) -> None:
    """Raise InputError where an argument is no UTF-8 text, or is empty and would name the folder one is in."""
    for before, argument in zip(["", *args], args, strict=False):
        if "\0" in argument or any("\ud800" <= c <= "\udfff" for c in argument):
            shown = argument.encode("ascii", "backslashreplace").decode()
            raise InputError(f"{shown}: is no UTF-8 text, as every argument must be")
        option, equals, value = argument.partition("=")
        if not argument or (option.startswith("--") and equals and not value):
            option = option or before
            if option not in _MAY_BE_EMPTY:
                after = f" after {option}" if option.startswith("-") else ""
                raise InputError(f"there is an empty argument{after}; name something, or leave it out")


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # the reader of our output has left: `ascl rules show | head`
        raise
    except (InputError, OSError) as error:
        raise _failed(_line(error)) from None
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        raise _failed(str(missing)) from None
    except KeyboardInterrupt:
        raise _failed("interrupted; run the same command again to resume", 130) from None
    except Exception as error:
        if not hasattr(error, "format_message") or type(error).__name__ == "NoArgsIsHelpError":
            raise  # no complaint of typer's about the arguments
        context = getattr(error, "ctx", None)
        hint = f" (`{context.command_path} --help` lists what there is)" if context else ""
        raise _failed(error.format_message().rstrip(".") + hint) from None


def _failed(line: str, code: int = 2) -> typer.Exit:
    line = " ".join(line.split())
    echo("ascl: " + (line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} .."), err=True)
    return typer.Exit(code)


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def finite(value: float | None) -> float | None:
    """The callback of every option that takes a real number: `nan` is in no range, but in none of typer's checks."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number that can be calculated with")
    return value


@contextmanager
def checked_options() -> Iterator[None]:
    """For settings that are made of options: what their check (pydantic) complains of, as one line."""
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        field, colon, problem = first_problem(error).partition(": ")
        option = f"--{field.replace('_', '-')}" if colon else field
        raise InputError(f"{option}{colon}{problem}") from error


def since(days: int) -> float:
    """When the last so many days began; 0 for all of them."""
    return time.time() - days * 86_400 if days else 0.0
