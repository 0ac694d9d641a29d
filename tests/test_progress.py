"""Progress in a log, where there is no terminal for a bar."""

import io
import re
import threading

import pytest

from ascl import progress
from ascl.progress import Screen, progress_bar, waiting


class Heard(io.StringIO):
    """A log that says when a line like `pattern` has come."""

    def __init__(self, pattern: str) -> None:
        super().__init__()
        self.pattern, self.come = pattern, threading.Event()

    def write(self, text: str) -> int:
        if re.fullmatch(self.pattern, text.strip()):
            self.come.set()
        return super().write(text)


def log(monkeypatch: pytest.MonkeyPatch, pattern: str) -> Heard:
    """The log that progress is written to, after short silences as well."""
    heard = Heard(pattern)
    monkeypatch.setattr(progress, "SILENCE", 0.1)
    monkeypatch.setattr(progress, "console", Screen(file=heard))
    return heard


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


def test_the_longest_silence_is_under_20_seconds() -> None:
    assert progress.SILENCE < 20


def test_a_step_that_takes_long_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = log(monkeypatch, r"bc 31/100, \d+ s, about \d+ s left, loss 2")
    with progress_bar("bc", 100) as report:
        report(0)
        report(30, "loss 3")
        report(31, "loss 2")
        assert heard.come.wait(20)


def test_the_innermost_work_is_named_and_the_outer_one_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = log(monkeypatch, r"grpo 0/8, \d+ s")
    with waiting("stage"):
        with progress_bar("grpo", 8):
            assert heard.come.wait(20)
        assert "stage" not in heard.getvalue()
        heard.pattern = r"stage, \d+ s"
        heard.come.clear()
        assert heard.come.wait(20)


def test_nothing_is_said_after_the_end_however_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    log(monkeypatch, "")
    threads = threading.active_count()
    with pytest.raises(ValueError, match="broken"), waiting("stage"):
        raise ValueError("broken")
    assert progress._working == []
    assert threading.active_count() == threads
