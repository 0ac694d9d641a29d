"""Text for people. What files, models and servers say may hold escape sequences; none of them reaches a terminal."""

import unicodedata

import typer


def printable(text: str) -> str:
    """The text without characters that steer a terminal or turn the order of others; line breaks and tabs are kept.

    These go: control characters (C0, DEL, C1), what Unicode counts as format (directions, tags, joiners), lone
    surrogates and characters without a meaning. Any other blank becomes a space.
    """
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character in "\n\t" or character.isprintable():
        return character
    return " " if unicodedata.category(character) == "Zs" else ""


def echo(text: object = "", err: bool = False, bold: bool = False) -> None:
    """Print a line for people on stdout or stderr, `printable`. All such lines of the commands are printed here."""
    shown = printable(str(text))
    typer.echo(typer.style(shown, bold=True) if bold else shown, err=err)
