"""How many values a JSON text may hold, before it is parsed: small values take far more memory than their text."""


def too_many_values(content: bytes | bytearray, most: int) -> bool:
    """Whether a JSON text may hold more than `most` values (each takes up to about 100 bytes).

    Its commas and opening brackets are counted, those inside strings as well: that takes a hundredth of the time of
    parsing it. So `most` must be above what a long text has of them.
    """
    return sum(content.count(mark) for mark in (b",", b"[", b"{")) > most
