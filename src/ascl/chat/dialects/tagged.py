"""A thought between two tags at the beginning of a text: `<think>..</think>`, `[THINK]..[/THINK]`."""


def split_tagged(text: str, opens: str, closes: str) -> tuple[str | None, str, bool]:
    """Cut a text into (thought or None, the rest, whether the thought was closed)."""
    body = text.strip()
    if not body.startswith(opens):
        return None, body, True
    thought, closed, rest = body.removeprefix(opens).partition(closes)
    return thought.strip(), rest.strip(), bool(closed)


def tagged_end(text: str, opens: str, closes: str) -> int | None:
    """Where the thought that a text begins with ends (see `Dialect.thought_end`)."""
    first = len(text) - len(text.lstrip())
    if not opens.startswith(text[first : first + len(opens)]):
        return 0
    end = text.find(closes, first)
    return None if end < 0 else end + len(closes)
