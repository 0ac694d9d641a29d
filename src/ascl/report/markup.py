"""HTML and SVG from Python values. Every string that is not already `Markup` is escaped."""

from html import escape

from ascl.report.invisible import visible

_VOID = {"meta", "br", "input"}


class Markup(str):
    """Text that is already HTML."""


def element(name: str, *children: str | None, **attributes: str | float | None) -> Markup:
    """One element. `class_` is `class`, underscores become hyphens, attributes that are None are left out."""
    parts = [name]
    for key, value in attributes.items():
        if value is not None:
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            parts.append(f'{key.rstrip("_").replace("_", "-")}="{escape(visible(shown))}"')
    opened = f"<{' '.join(parts)}>"
    return Markup(opened if name in _VOID else f"{opened}{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """The children one after another, escaped where they are plain text; None is nothing."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(visible(child), quote=False)
            for child in children
            if child is not None
        )
    )
