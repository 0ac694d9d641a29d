"""The table of figures after a run (what `ascl report` makes: tests/report/test_report_command.py)."""

from collections.abc import Sequence

import pytest

from ascl.cli.report import COLUMNS, show_run
from ascl.evals.arms import ArmResult, RunResults
from ascl.stats import Estimate


def run(figures: dict[str, dict[str, Estimate]], judge: str | None = None, warnings: Sequence[str] = ()) -> RunResults:
    """The results of a run with the figures of each arm; those that are not `pure` are trained."""
    arms = [ArmResult(name=name, trained=name != "pure", seeds=[3], figures=of) for name, of in figures.items()]
    facts = {"Judge": judge} if judge else {}
    return RunResults(name="r", headline="Nothing is settled.", arms=arms, facts=facts, warnings=list(warnings))


def test_the_table_has_a_row_for_each_arm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    known = dict.fromkeys(COLUMNS, Estimate(value=0.5, low=0.25, high=0.75, n=4))
    tokens = {"tokens": Estimate(value=50, low=25, high=75, n=4)}
    show_run(run({"pure": known | tokens, "bc": known | tokens | {"reasoning": Estimate()}}))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Nothing is settled."
    [pure] = [i for i, line in enumerate(lines) if "pure" in line]
    [cloned] = [i for i, line in enumerate(lines) if " bc " in line]
    assert lines[pure].count("50") == lines[pure + 1].count("25 to 75") == len(COLUMNS)
    assert lines[cloned].count("50") == lines[cloned + 1].count("25 to 75") == len(COLUMNS) - 1


def test_the_table_shows_what_no_figure_counts_and_warns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    whole = Estimate(value=0.5, low=0.25, high=0.75, n=4, no_answer=0.0, unjudged=0.0, unparsed=0.0)
    pure = dict.fromkeys(COLUMNS, whole)
    cloned = pure | {
        "safety": whole.model_copy(update={"unjudged": 0.125}),
        "reasoning": whole.model_copy(update={"unparsed": 0.005}),
    }
    said = "bc: 12.5 % of the answers are unjudged; the figure is over the others"
    show_run(run({"pure": pure, "bc": cloned}, "g", [said]))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines[:-2])) <= 80 and not any("…" in line for line in lines)
    assert [line.split() for line in lines[-6:-3]] == [["12.5", "%", "0.5", "%"], ["unjudged", "unparsed"], []]
    assert lines[-2] == "judge: g; of the answers to any figure at most unjudged 12.5 %, unparsed 0.5 %"
    assert lines[-1] == f"warning: {said}"
