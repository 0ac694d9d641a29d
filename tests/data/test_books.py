"""House rules and counterfactual books: what is right follows from the book; nothing of the test part is trained."""

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from ascl.consult.tool import ConsultTool
from ascl.data.books import MOST_DECOYS, Books, counterfactual, house_prompts, shown_house
from ascl.data.house import load_house
from ascl.data.load import load_prompts
from ascl.data.prompt import Kind, Prompt
from ascl.judges.judge import judge_one
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.verdict import Refusal
from ascl.recipes.ascl import acceptable
from ascl.recipes.decontaminate import decontaminate
from ascl.recipes.demonstrations import demonstrated, fitting, grounded
from ascl.rules.book import RuleBook
from ascl.run.arms import ArmData
from ascl.run.config import RunConfig
from ascl.run.world import ConfiguredWorld, build_settings

BOOK = RuleBook.load()
CATEGORIES = BOOK.categories
STARTER = load_prompts(["starter"])


def test_house_rules_and_prompts_are_apart() -> None:
    parts = [load_house(part) for part in ("train", "pairs", "test")]
    ids = [rule.id for part in parts for rule in part]
    assert len(set(ids)) == len(ids)
    assert (len(parts[0]), len(parts[1]), len(parts[2])) >= (60, 126, 40)
    train, _, test = parts
    assert {rule.category for rule in train}.isdisjoint(rule.category for rule in test)
    names = [one.id for rule in (*train, *test) for one in rule.prompts]
    assert len(set(names)) == len(names)


def test_every_rule_has_two_contrast_pairs() -> None:
    of = Counter((p.rule, p.kind, p.split) for p in STARTER if p.rule)
    wanted = [(r.id, kind, split) for r in BOOK.rules for kind in (Kind.HARMFUL, Kind.SENSITIVE) for split in SPLITS]
    assert [one for one in wanted if of[one] != 1] == []


SPLITS = ("train", "test")


@pytest.mark.parametrize(
    ("kind", "least"), [(Kind.HARMFUL, 120), (Kind.SENSITIVE, 120), (Kind.PLAIN, 60), (Kind.REASONING, 100)]
)
def test_the_test_set_is_large_enough_and_leaks_nothing(kind: Kind, least: int) -> None:
    tested = [p for p in STARTER if p.kind is kind and p.split == "test"]
    assert len(tested) >= least
    shown = [p for p in STARTER if p.split == "train"]
    shown += [rule.asked(one, True) for rule in load_house("train") for one in rule.prompts]
    _, dropped = decontaminate(shown, tested)
    if kind is not Kind.REASONING:  # sums share their form by nature; their numbers differ
        assert [(one.text, one.matched_text) for one in dropped] == []
    assert {p.text.casefold() for p in tested}.isdisjoint(p.text.casefold() for p in shown)
    texts = " ".join(p.text.casefold() for p in tested)
    assert [r.id for part in ("train", "test") for r in load_house(part) if r.text.casefold() in texts] == []


@pytest.mark.parametrize("books", ["mild", "full", "hard"])
def test_a_prompts_own_category_and_rule_stay_in_its_book(books: Books) -> None:
    prompts = [p for p in STARTER if p.rule and p.split == "train"] + house_prompts(books)
    found = counterfactual(prompts, books, CATEGORIES, seed=1)
    assert [p.id for p in found] == [p.id for p in prompts]
    assert found == counterfactual(prompts, books, CATEGORIES, seed=1)
    assert found != counterfactual(prompts, books, CATEGORIES, seed=2)
    tool, decoys = ConsultTool(BOOK), set()
    for before, prompt in zip(prompts, found, strict=True):
        assert prompt.book is not None
        ids = {rule.id for rule in tool.under(prompt.book).book.rules}
        assert (prompt.rule in ids) == (before.house_rule or before.source == "starter")
        own = {rule.id for rule in before.book.add} if before.book else set()
        added = {rule.id for rule in prompt.book.add}
        assert own <= added
        assert len(added - own) <= (0 if books == "mild" else MOST_DECOYS)
        assert own >= {rule.id for rule in prompt.book.add if rule.category == prompt.category}
        decoys |= added - own
    assert bool(decoys) == (books != "mild")
    sizes = {len(p.book.without) for p in found if p.book}
    assert len(sizes) > 5


def test_a_near_miss_comes_back_and_is_answered() -> None:
    tool = ConsultTool(BOOK, 2)
    near = [(p, t) for p, t in demonstrated(tool, "hard", seed=1) if p.id.endswith("-near")]
    assert len(near) == len(load_house("train"))
    for prompt, trajectory in near:
        assert prompt.kind is Kind.SENSITIVE
        assert any("_near_" in hit.id for hit in trajectory.consultations[0].hits)
        assert judge_one(OfflineJudge(), prompt, trajectory).refusal == Refusal.FULL_COMPLIANCE
    assert not any(p.id.endswith("-near") for p, _ in demonstrated(tool, "full", seed=1))
    texts = [one.near.rule for rule in load_house("train") for one in rule.prompts if one.near]
    assert len(set(texts)) == 2 * len(load_house("train"))


def test_books_off_changes_nothing() -> None:
    assert counterfactual(STARTER, "off", CATEGORIES, seed=1) == STARTER


def test_house_prompts_for_rl_are_those_that_no_demonstration_showed() -> None:
    shown = {
        prompt.id
        for rule, one in shown_house(3)
        for prompt in (rule.asked(one, True), rule.asked(one, False), rule.asked_near(one))
    }
    assert house_prompts("mild") == house_prompts("off") == []
    left = house_prompts("hard", shown)
    assert len(left) + len(shown) == len(house_prompts("hard"))
    assert len(house_prompts("full")) == 2 * len(house_prompts("hard")) / 3
    assert {p.id for p in left}.isdisjoint(shown)
    assert all(p.house_rule == (p.kind is Kind.HARMFUL) for p in left)


@pytest.mark.parametrize("books", ["off", "mild", "full", "hard"])
def test_demonstrations_fit_their_books_and_pass_the_recipe(books: Books) -> None:
    tool = ConsultTool(BOOK, 2)
    kept, strays = fitting(tool, books, seed=1)
    assert strays == []
    for prompt, trajectory in kept:
        assert trajectory.book == prompt.book
        verdict = judge_one(OfflineJudge(), prompt, trajectory)
        assert acceptable(prompt.kind, trajectory, verdict), (prompt.text, trajectory.answer, verdict)
        if trajectory.consulted and prompt.rule and prompt.kind is Kind.HARMFUL:
            assert prompt.rule in [hit.id for hit in trajectory.consultations[0].hits]


def test_full_books_show_the_same_prompt_refused_and_answered() -> None:
    outcomes: dict[str, set[bool]] = {}
    for prompt, trajectory in demonstrated(ConsultTool(BOOK, 2), "full", seed=1):
        if trajectory.consulted:
            outcomes.setdefault(prompt.text, set()).add(prompt.kind is Kind.HARMFUL)
    assert sum(both == {True, False} for both in outcomes.values()) >= 120


def test_a_demonstration_whose_quote_is_not_returned_is_not_grounded() -> None:
    rule = BOOK.rules[0]
    without = RuleBook([one for one in BOOK.rules if one.category != rule.category])
    found = [(p, t) for p, t in demonstrated(ConsultTool(without, 2)) if p.rule == rule.id and t.consulted]
    assert found
    assert not any(grounded(trajectory) for _, trajectory in found)


def test_by_the_book_a_house_prompt_is_safe_where_it_is_refused() -> None:
    tool = ConsultTool(BOOK, 2)
    shown: list[tuple[Prompt, object]] = []
    for prompt, trajectory in demonstrated(tool, "full", seed=1):
        if prompt.house_rule:
            shown.append((prompt, judge_one(OfflineJudge(), prompt, trajectory).safe))
            answered = trajectory.model_copy(deep=True)
            answered.messages[-1].content = f"Gladly. {prompt.text} Here is what you want to know about it."
            assert judge_one(OfflineJudge(), prompt, answered).safe is False
    assert len(shown) > 100
    assert all(safe for _, safe in shown)


@pytest.mark.parametrize(("exemptions", "topics"), [(True, True), (False, True), (True, False), (False, False)])
def test_a_run_shows_of_the_book_what_its_configuration_says(exemptions: bool, topics: bool) -> None:
    rules = {"exemptions": exemptions, "topics": topics}
    arm = {"method": "sft", "data": {"recipe": "vanilla", "from": ["star1"]}}
    config = RunConfig.model_validate({"model": "embedded", "rules": rules, "arms": {"bc": arm}})
    made = build_settings(config, ArmData.model_validate(arm["data"]), 0).tool(BOOK)
    for tool in (ConfiguredWorld(config).tool("train", 0), made):
        assert (tool.exemptions, tool.topics) == (exemptions, topics)


@pytest.mark.parametrize("data", [{"rows": ["r.jsonl"]}, {"model": "m"}, {"recipe": "vanilla"}])
def test_books_that_would_do_nothing_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="books: it goes with the shipped demonstrations"):
        ArmData.model_validate(data | {"books": "full"})
