"""Progress in a log, where there is no terminal for a bar."""

import re

import pytest

from ascl.progress import progress_bar


def test_a_line_for_every_tenth_with_what_is_told_beside(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("teacher", 20) as report:
        for done in range(21):
            report(done, f"{done} prompts/s, 1 http_429 [sic]" if done else "")
    lines = capsys.readouterr().err.split("\n")[:-1]
    assert len(lines) == 11
    assert re.fullmatch(r"teacher 0/20, \d+ s", lines[0])
    told = re.escape("10 prompts/s, 1 http_429 [sic]")
    assert re.fullmatch(rf"teacher 10/20, \d+ s, about \d+ s left, {told}", lines[5])


def test_it_may_be_told_the_count_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("eval", 2) as report:
        report(2)
    assert re.fullmatch(r"eval 2/2, \d+ s\n", capsys.readouterr().err)
