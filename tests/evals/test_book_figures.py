"""Adherence to edited rule books, of scripted models that follow the book, their habits, or nothing."""

from pathlib import Path
from typing import Any

import pytest
from teacher_server import Script, called, said, teacher, user_text

from ascl.consult.tool import ConsultTool
from ascl.data.house import load_house
from ascl.evals.asked import ask
from ascl.evals.books import CASES, FIGURES, book_benchmarks
from ascl.evals.evaluate import Subject, plan_evaluation
from ascl.evals.results import Results
from ascl.evals.settings import EvalSettings
from ascl.evals.variants import plan_variants
from ascl.judges.settings import JudgeSettings
from ascl.rules.book import RuleBook
from ascl.run.config import RunConfig
from ascl.run.world import ConfiguredWorld

REFUSAL = "I'm sorry, but I can't help with that."
QUERIES = {one.prompt: one.query for rule in load_house("test") for one in rule.prompts}
FORBIDS = {one.prompt: rule.text for rule in load_house("test") for one in rule.prompts}


def consults(messages: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The look-up of a house prompt, before there is a result."""
    text = user_text(messages)
    return None if messages[-1]["role"] == "tool" else called(QUERIES.get(text, text), "I look.")


def by_the_book(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Refuses where the rule that forbids the prompt comes back, and harm always."""
    text = user_text(messages)
    if text not in FORBIDS:
        return said(REFUSAL, "Harm.")
    refuses = FORBIDS[text] in str(messages[-1]["content"])
    return consults(messages) or said(REFUSAL if refuses else f"Gladly: {text}", "I have read the rules.")


def by_the_topics(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Refuses where the system text names the topic, whatever the look-up returns."""
    text = user_text(messages)
    topic = next((rule.title for rule in load_house("test") if rule.text == FORBIDS.get(text)), None)
    refuses = topic is None or topic in str(messages[0]["content"])
    return consults(messages) or said(REFUSAL if refuses else f"Gladly: {text}", "I have read the rules.")


def answers(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Answers whatever the rules say."""
    return consults(messages) or said(f"Gladly: {user_text(messages)}", "I answer.")


def refuses(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Refuses whatever the rules say."""
    return consults(messages) or said(REFUSAL, "I refuse.")


def measured(script: Script, folder: Path) -> Results:
    offline = JudgeSettings(kind="offline")
    settings = EvalSettings(suite="starter", judges=[offline], limit=20, books=True, greedy=True, max_tokens=64)
    asked = ask(settings, categories=RuleBook.load().categories)
    asked = {name: one for name, one in asked.items() if name.startswith("books_")}
    with teacher(script) as server:
        subject = Subject(model="m", name="m", base_url=server.base_url)
        return plan_evaluation(subject, "ascl", folder, settings, asked, ConsultTool(RuleBook.load())).carry_out()


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        (by_the_book, (1.0, 1.0, 1.0, 1.0, 0.0)),
        (by_the_topics, (1.0, 1.0, None, 0.0, 0.0)),
        (answers, (0.0, None, 1.0, None, 1.0)),
        (refuses, (0.0, 0.0, 1.0, 0.0, 0.0)),
    ],
)
def test_the_figures_tell_a_model_that_reads_from_one_that_does_not(
    script: Script, wanted: tuple[float | None, ...], tmp_path: Path
) -> None:
    found = measured(script, tmp_path / "e").summary
    for name, value in zip(FIGURES, wanted, strict=True):
        if (name, script) != ("stability", by_the_topics):
            assert found[name].value == value, name
        assert (found[name].no_answer, found[name].unjudged) == (0.0, 0.0), name
    assert found["adherence"].n == 20
    assert found["safety"].value is None, "none of it counts in the axes"


def test_the_same_prompts_are_asked_under_every_book() -> None:
    of = {benchmark.name: prompts for benchmark, prompts in book_benchmarks(RuleBook.load().categories)}
    texts = [[prompt.text for prompt in of[f"books_{case}"]] for case in CASES]
    assert all(one == texts[0] for one in texts) and len(set(texts[0])) == len(texts[0]) >= 80
    ids = [prompt.id for prompts in of.values() for prompt in prompts]
    assert len(set(ids)) == len(ids)
    tool = ConsultTool(RuleBook.load(), 2)
    for free, forbidden, edited, swapped in zip(*(of[f"books_{case}"] for case in CASES), strict=True):
        query = {"query": QUERIES[free.text]}
        found = [
            [hit.id for hit in consultation.hits]
            for one in (free, forbidden, edited, swapped)
            if (consultation := tool.under(one.book).call("safety-policy-retrieve_policy", query).consultation)
        ]
        assert [free.rule in hits for hits in found] == [False, True, False, False]
        assert found[3], "the swapped look-up returns something"


@pytest.mark.parametrize(
    ("categories", "gone"),
    [
        (RuleBook.load().categories, {"animals.*"}),
        (["tea", "coffee"], {"tea.*"}),
        (["wit", "spoilers"], {"wit.*", "spoilers.*"}),  # never the prompt's own
        (["wit"], {"wit.*", None}),
    ],
)
def test_the_unrelated_edit_leaves_out_a_category_of_the_book_in_force(
    categories: list[str], gone: set[str | None]
) -> None:
    of = {benchmark.name: prompts for benchmark, prompts in book_benchmarks(categories)}
    left_out = {prompt.id: prompt.book.without for prompt in of["books_edited"] if prompt.book}
    assert {without[0] if without else None for without in left_out.values()} == gone
    own = {f"{one.id}-edited": f"{rule.category}.*" for rule in load_house("test") for one in rule.prompts}
    assert set(left_out) == set(own)
    assert all(own[id] not in without for id, without in left_out.items())


def test_a_book_of_ones_own_is_edited_in_a_run_and_in_an_evaluation(tmp_path: Path) -> None:
    rules = tmp_path / "rules.csv"
    rules.write_text("id,category,title,text\ntea.cold,tea,Tea,Cold tea.\nmilk.hot,milk,Milk,Hot milk.\n")
    subject = Subject(model="m", name="m", base_url="http://localhost:1")
    offline = JudgeSettings(kind="offline")
    settings = EvalSettings(suite="starter", judges=[offline], limit=2, books=True, greedy=True)
    (planned,) = plan_variants(subject, settings, tmp_path / "e", str(rules))
    config = RunConfig.model_validate(
        {"model": "m", "rules": {"source": str(rules)}, "evaluate": {"books": True, "limit": 2}}
    )
    for asked in (planned.asked, ConfiguredWorld(config).asked(0)):
        books = [prompt.book for prompt in asked["books_edited"][1]]
        assert [book.without for book in books if book] == [("tea.*",)] * 2
