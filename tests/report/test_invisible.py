"""Which characters a page shows by name."""

import unicodedata

import pytest
from made_files import SEEN, UNSEEN

from ascl.report.invisible import visible


@pytest.mark.parametrize("text", SEEN)
def test_what_a_script_or_an_emoji_needs_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("char", UNSEEN, ids=lambda char: f"{ord(char):04X}")
def test_what_nobody_would_see_is_named(char: str) -> None:
    assert visible(f"a{char}b{char}{char}") == "a{0}b{0}{0}".format(f"[U+{ord(char):04X}]")


def test_every_control_and_format_character_is_named() -> None:
    hidden = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert len(hidden) > 2000
    assert [c for c in hidden if visible(f"a{c}b") == f"a{c}b"] == ["\t", "\n"]
