"""How the command line fails: bad input is one line on stderr and exit code 2, never a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from ascl.errors import InputError, missing_extra


class InputErrorGroup(TyperGroup):
    """The root command, with what the user can mend turned into one line and exit code 2.

    That is `InputError`, a file or disk that fails, and an extra that is not installed. Ctrl-C leaves quietly with 130.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of our output has left: `ascl rules show | head`
            raise
        except (InputError, OSError) as error:
            typer.echo(f"ascl: {_line(error)}", err=True)
            raise typer.Exit(2) from None
        except ModuleNotFoundError as error:
            missing = missing_extra(error)
            if missing is None:
                raise
            typer.echo(f"ascl: {missing}", err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("ascl: interrupted; run the same command again to resume", err=True)
            raise typer.Exit(130) from None


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def bad_input(given: Path) -> Iterator[None]:
    """For rooms that say with a plain ValueError what is wrong with the file or folder they were given."""
    try:
        yield
    except ValueError as error:
        named = str(given) in str(error)
        raise InputError(str(error) if named else f"{given}: {error}") from error
