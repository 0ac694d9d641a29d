"""The checklist's rule: an interval above zero reproduces, one below does not, one that holds zero settles nothing."""

import pytest

from ascl.lab.claims import PAPER, Seed, checklist, verdict
from ascl.stats import over_seeds


def results(ifpo: float, grpo: float) -> dict[str, Seed]:
    def arm(h_avg: float) -> Seed:
        names = ("h_avg", "safety", "over_refusal", "reasoning", "separation", "selectivity")
        return Seed(dict.fromkeys(names, h_avg) | {"consult_reasoning": 0.0}, [])

    return {"ifpo": arm(ifpo), "grpo": arm(grpo)}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.10, 0.11, 0.12], "reproduced"), ([-0.10, -0.11, -0.12], "not reproduced"), ([0.10, -0.11, 0.12], "unclear"),
        ([0.10], "unclear"), ([0.0, 0.0, 0.0], "unclear"),
    ],
)  # fmt: skip
def test_the_rule(values: list[float], expected: str) -> None:
    assert verdict(over_seeds(values)) == expected


def test_differences_are_paired_by_seed_and_unknown_arms_left_out() -> None:
    claims = {claim.text: claim for claim in checklist([results(0.5 + d, 0.4 + d) for d in (0.0, 0.2, 0.4)])}
    found = claims["IFPO has the higher H-avg"]
    assert found.verdict == "reproduced"
    assert found.difference.value == pytest.approx(0.1)
    assert "Rules in the weights cost reasoning" not in claims
    assert len(PAPER) > len(claims)
