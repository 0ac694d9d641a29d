"""The checklist's rule: an interval above zero reproduces, one below does not, one that holds zero settles nothing."""

import random

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


FIGURES = ("h_avg", "safety", "over_refusal", "reasoning", "separation", "selectivity", "consult_reasoning")
ARMS = ("bc", "surrogate", "grpo", "ifpo", "consult_penalty")


def drawn(dice: random.Random) -> dict[str, Seed]:
    """Every arm of the checklist with figures and a curve drawn at random."""

    def arm() -> Seed:
        curve = [{"consult_rate": dice.random(), "consult_rate_sensitive": dice.random()} for _ in range(25)]
        return Seed({name: dice.random() for name in FIGURES}, curve)

    return {name: arm() for name in ARMS}


@pytest.mark.parametrize("count", [1, 2, 3, 12, 30])
def test_every_claim_is_measured_over_however_many_seeds_there_are(count: int) -> None:
    dice = random.Random(count)
    seeds = [drawn(dice) for _ in range(count)]
    claims = checklist(seeds)
    assert [claim.text for claim in claims] == [text for text, *_ in PAPER]
    for claim, (*_, more, less) in zip(claims, PAPER, strict=True):
        expected = over_seeds([more(seed) - less(seed) for seed in seeds])
        assert claim.difference.n == count
        assert claim.difference.value == pytest.approx(expected.value)
        assert (claim.difference.low is None) == (count == 1)


def test_a_seed_without_a_figure_is_left_out_of_the_claims_about_it() -> None:
    dice = random.Random(0)
    seeds = [drawn(dice) for _ in range(12)]
    seeds[4]["ifpo"] = Seed(dict.fromkeys(FIGURES), [])
    for claim, (*_, more, less) in zip(checklist(seeds), PAPER, strict=True):
        assert claim.difference.n == (11 if None in (more(seeds[4]), less(seeds[4])) else 12)
    assert {claim.difference.n for claim in checklist(seeds)} == {11, 12}


@pytest.mark.parametrize("rises", [True, False])
def test_where_training_began_and_ended_is_told_from_its_first_and_last_steps(rises: bool) -> None:
    """GRPO climbs, as in the paper, or falls."""
    seeds = []
    for jitter in (0.0, 0.01, 0.02):
        rates = [0.785 + (0.004 if rises else -0.004) * step + jitter for step in range(40)]
        seeds.append({"grpo": Seed({}, [{"consult_rate": rate} for rate in rates])})
    [claim] = checklist(seeds)
    assert claim.text == "GRPO comes to consult more than it did at the start"
    assert claim.difference.value == pytest.approx(0.12 if rises else -0.12)
    assert claim.verdict == ("reproduced" if rises else "not reproduced")
