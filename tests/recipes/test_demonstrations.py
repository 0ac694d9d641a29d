"""Which shipped demonstrations fit a rule book: the tool must return the rule that the second thought speaks of."""

import pytest

from ascl.consult.tool import ConsultTool
from ascl.data.prompt import Kind
from ascl.errors import InputError
from ascl.recipes.demonstrations import demonstrated, fitting, grounded
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule

DEFAULT = RuleBook.load()


def book(*texts: str) -> RuleBook:
    """A book of one category."""
    return RuleBook([Rule(id=f"house.r{i}", category="house", title="House", text=t) for i, t in enumerate(texts)])


COMPANY = book(
    "Never compare our products with those of competitors.",
    "Do not promise discounts or prices that are not on the price list.",
    "Do not tell people who to vote for.",
    "Never reveal the personal data of another customer.",
    "Do not write insults or threats against a person.",
    "Do not help with fraud such as phishing mails or fake invoices.",
)


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_nearly_all_demonstrations_fit_the_shipped_book(top_k: int) -> None:
    kept, strays = fitting(ConsultTool(DEFAULT, top_k))
    assert len(kept) + len(strays) == len(demonstrated(ConsultTool(DEFAULT, top_k)))
    assert len(strays) <= (0 if top_k > 1 else 6), [prompt.id for prompt in strays]


def test_a_demonstration_goes_with_its_rule() -> None:
    asked = {prompt.id: prompt for prompt, _ in demonstrated(ConsultTool(DEFAULT))}
    without = RuleBook([rule for rule in DEFAULT.rules if rule.category not in ("violence", "harassment")])
    kept, strays = fitting(ConsultTool(without, 2))
    assert {prompt.id for prompt, _ in kept} | {prompt.id for prompt in strays} == set(asked)
    assert all(grounded(trajectory) for _, trajectory in kept)
    lost = [prompt for prompt in strays if prompt.category == "violence" and prompt.kind is Kind.HARMFUL]
    assert len(lost) >= 2
    results = [m.content for _, t in kept for m in t.messages if m.role == "tool"]
    assert "No rule is about this." not in results


def test_a_book_with_other_rules_stops_the_run_and_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"of the 126 harmful demonstrations .* answers \d+ .*data.model.*data.rows"):
        fitting(ConsultTool(COMPANY, 3))


def test_direct_demonstrations_need_no_rule() -> None:
    direct = [t for _, t in demonstrated(ConsultTool(COMPANY)) if not t.consulted]
    assert len(direct) > 100
    assert all(map(grounded, direct))
