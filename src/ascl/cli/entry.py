"""How the command line fails: bad input is one line on stderr and exit code 2, never a traceback."""

from typing import Any

import typer
from typer.core import TyperGroup

from ascl.errors import InputError


class InputErrorGroup(TyperGroup):
    """The root command, with `InputError` turned into one line and exit code 2; Ctrl-C leaves quietly with 130."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            typer.echo(f"ascl: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("ascl: interrupted; run the same command again to resume", err=True)
            raise typer.Exit(130) from None
