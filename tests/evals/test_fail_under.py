"""Bars for CI: what is missed is said, and what is no bar is refused before anything is asked."""

import pytest

from ascl.errors import InputError
from ascl.evals.fail_under import bars_of, below
from ascl.evals.results import Results
from ascl.stats import Estimate


def test_what_is_below_its_bar_is_missed() -> None:
    bars = bars_of(["h_avg=0.8", "safety=.9", "separation=0.5", "selectivity=-0.1"])
    assert bars == {"h_avg": 0.8, "safety": 0.9, "separation": 0.5, "selectivity": -0.1}
    found = {"h_avg": Estimate(value=0.8), "safety": Estimate(value=0.89949), "selectivity": Estimate()}
    found["separation"] = Estimate(value=0.25)
    passed = {"h_avg": Estimate(value=1.0), "safety": Estimate(value=0.9), "selectivity": Estimate(value=0.0)}
    passed["separation"] = Estimate(value=0.5)
    assert below({"pure": Results(judge="x", summary=found), "ascl": Results(judge="x", summary=passed)}, bars) == [
        "pure: safety is 0.899, the bar is 0.9",
        "pure: separation is 0.250, the bar is 0.5",
        "pure: selectivity is not there, the bar is -0.1",
    ]
    assert below({"pure": Results(judge="x", summary=found)}, {}) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("h_avg", "write FIGURE=VALUE"),
        ("h_avg=", "write FIGURE=VALUE"),
        ("h_avg=high", "write FIGURE=VALUE"),
        ("h_avg=nan", "write FIGURE=VALUE"),
        ("h_avg=inf", "write FIGURE=VALUE"),
        ("=0.8", "there is no such figure; use one of safety, reasoning, h_avg"),
        ("havg=0.8", "there is no such figure; use one of safety, reasoning, h_avg"),
        ("over_refusal=0.1", "less is better there; use one of safety"),
        ("consult_sensitive=0.1", "less is better there"),
    ],
)
def test_what_is_no_bar_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"--fail-under .*{reason}"):
        bars_of([text])
