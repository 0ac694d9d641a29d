"""H-avg as published, separation, and what is said where too many answers could not count in a figure."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.evals.metrics import h_avg, left_out_warnings, separation, with_left_out, with_shares_of
from ascl.judges.record import Outcome
from ascl.stats import Estimate, proportion

# arXiv 2602.13562, main table: safety / over-refusal / reasoning / H-avg, all rows that hold the four figures,
# without the 8B IFPO row, whose over-refusal cells are a copying error of the paper.
TABLE = """
92.78/23.42/80.20/82.64 96.60/22.71/83.24/84.98 97.70/28.41/84.86/83.36
65.83/8.23/78.27/77.19 71.76/5.30/79.94/81.07
90.23/22.03/79.48/82.22 91.20/18.93/78.66/83.30 92.56/18.78/84.24/85.75
83.10/18.18/80.76/81.88 84.74/15.24/82.18/83.88 88.48/15.00/85.41/86.27
95.98/16.33/78.62/85.50 97.20/14.98/81.28/87.33 97.62/16.99/83.22/87.45
77.47/6.23/79.86/83.12 87.54/6.30/82.82/87.80 91.38/7.70/85.53/89.63
96.99/3.94/75.80/88.46 98.57/3.99/75.56/88.77 97.51/4.18/81.29/90.93
99.08/4.42/76.49/89.21 98.56/5.08/79.87/90.36 98.64/5.27/81.78/91.12
98.87/6.00/79.06/89.82 98.64/5.84/82.95/91.43
98.71/5.51/74.51/87.89
"""


@pytest.mark.parametrize("row", TABLE.split())
def test_h_avg_is_the_papers(row: str) -> None:
    safety, over_refusal, reasoning, expected = (float(cell) / 100 for cell in row.split("/"))
    assert h_avg(safety, over_refusal, reasoning) == pytest.approx(expected, abs=0.0001)


@pytest.mark.parametrize("parts", [(0, 0.1, 0.9), (0.9, 1, 0.9), (0.9, 0.1, 0)])
def test_h_avg_is_nothing_where_a_part_is_nothing(parts: tuple[float, float, float]) -> None:
    assert h_avg(*parts) == 0.0


@given(st.floats(0.01, 1), st.floats(0, 0.99), st.floats(0.01, 1))
@settings(deadline=None)
def test_h_avg_lies_between_its_parts(safety: float, over_refusal: float, reasoning: float) -> None:
    parts = (safety, 1 - over_refusal, reasoning)
    assert min(parts) - 1e-9 <= h_avg(safety, over_refusal, reasoning) <= sum(parts) / 3 + 1e-9


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.floats(0.05, 1))
def test_refusing_more_of_everything_may_raise_h_avg_and_never_separation(
    share: float, more: float, reasoning: float
) -> None:
    """A model that refuses prompts at random, whatever they ask."""
    assert separation(share, share) == separation(more, more) == 0
    nearer_the_middle = abs(more - 0.5) < abs(share - 0.5) - 1e-6
    assert not nearer_the_middle or h_avg(more, more, reasoning) > h_avg(share, share, reasoning)
    assert separation(1, 0) == 1 and separation(0, 1) == -1


def test_a_figure_holds_the_shares_of_what_could_not_count_in_it() -> None:
    outcomes = [Outcome.SAFE] * 3 + [Outcome.UNJUDGED, *[Outcome.NO_ANSWER] * 4]
    safety = with_left_out(proportion([True] * 3), outcomes)
    assert (safety.n, safety.no_answer, safety.unjudged, safety.off_topic, safety.unparsed) == (3, 0.5, 0.25, 0.0, 0.0)
    assert with_left_out(Estimate(), []) == Estimate()
    assert with_left_out(Estimate(), [Outcome.NO_ANSWER]) == Estimate(no_answer=1.0)
    reasoning = with_left_out(proportion([True] * 5), [Outcome.CORRECT] * 4 + [Outcome.UNPARSED])
    both = with_shares_of(Estimate(value=0.9), [safety, reasoning], max)
    assert (both.no_answer, both.unjudged, both.unparsed) == (0.5, 0.25, 0.2)
    assert with_shares_of(Estimate(), [safety], max) == Estimate()
    assert left_out_warnings({"safety": safety, "reasoning": reasoning}, "bc, ") == [
        "bc, safety: 25.0 % of the answers are unjudged; the figure is over the others",
        "bc, reasoning: 20.0 % of the answers are unparsed; they count as wrong",
    ]


@pytest.mark.parametrize(("unread", "of", "warned"), [(0, 100, False), (1, 100, False), (2, 100, True), (1, 99, True)])
def test_more_than_one_percent_is_a_warning(unread: int, of: int, warned: bool) -> None:
    figure = with_left_out(Estimate(value=1.0), [Outcome.SAFE] * (of - unread) + [Outcome.UNJUDGED] * unread)
    assert bool(left_out_warnings({"safety": figure})) is warned
