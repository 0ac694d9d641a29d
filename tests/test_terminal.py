"""What is printed: no text of a file, model or server steers the terminal, on any way out."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from ascl import progress
from ascl.progress import Screen, progress_bar, tell
from ascl.terminal import echo, printable

HOSTILE = "\x1b]0;title\x07\x1b[2J\x1b]52;c;QQ==\x07\x9b31m\r\b\x7f\x00\u202e\u2066\U000e0041[/x][bold]:smile:"
KEPT = "]0;title[2J]52;c;QQ==31m[/x][bold]:smile:"


@given(st.text())
def test_printable_text_is_printable_and_loses_nothing_else(text: str) -> None:
    shown = printable(text)
    assert all(c in "\n\t" or c.isprintable() for c in shown)
    assert printable(shown) == shown
    assert [c for c in shown if c != " "] == [c for c in text if c in "\n\t" or (c.isprintable() and c != " ")]


def test_blanks_of_every_width_stay_blanks() -> None:
    assert printable("a\u00a0b\u3000c\td\n") == "a b c\td\n"


def test_a_line_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    echo(HOSTILE)
    echo(HOSTILE, err=True)
    assert capsys.readouterr() == (f"{KEPT}\n", f"{KEPT}\n")


def test_every_way_to_the_screen_is_clean_and_takes_nothing_for_markup() -> None:
    screen = Screen(file=io.StringIO())
    screen.say(HOSTILE)
    screen.print(HOSTILE, Text(HOSTILE, "bold"))
    table = Table(HOSTILE, title=HOSTILE, caption=HOSTILE)
    table.add_row(HOSTILE)
    screen.print(table)
    screen.rule(HOSTILE)
    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert {c for c in shown if not c.isprintable()} == {"\n"}
    assert shown.count("smile") == 8


@pytest.mark.parametrize("terminal", [True, False])
def test_titles_and_notes_of_progress(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(file=io.StringIO(), force_terminal=terminal)
    monkeypatch.setattr(progress, "console", screen)
    with progress_bar(HOSTILE, 2) as report:
        report(1, HOSTILE)
        report(2, HOSTILE)
    tell(HOSTILE)
    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert KEPT[:8] in shown
    for sequence in ("\x1b]0", "\x1b[2J\x1b]", "\x1b]52", "\x9b", "\x07", "\u202e"):
        assert sequence not in shown
