"""Model text for a terminal."""


def printable(text: str) -> str:
    """The text without control characters (escape sequences), line breaks and tabs kept."""
    return "".join(c for c in text if c == "\n" or c == "\t" or c.isprintable())
