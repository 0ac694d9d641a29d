"""Contrast pairs for the rules of any book, by templates."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop_rules import RULES, WITHOUT, book_of, rows_by_rule
from workshops import contents, learned

from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.data.load import load_prompts
from ascl.data.prompt import Kind, split_of
from ascl.inputs import read_jsonl
from ascl.judges.lexical.offline import OfflineJudge
from ascl.recipes.consult_checks import check
from ascl.recipes.rule_pair_texts import LONGEST_TEXT, PairTexts, quotes, shortcoming
from ascl.recipes.rule_pairs import PairSettings, make_pairs
from ascl.recipes.rule_templates import from_templates, topic_of
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule


@pytest.fixture
def book(tmp_path: Path) -> str:
    return book_of(tmp_path / "rules.yaml", RULES)


def test_every_rule_gets_a_pair_and_three_demonstrations_or_a_reason(
    book: str, tmp_path: Path, renderer: Renderer
) -> None:
    report = make_pairs(PairSettings(rules=book), tmp_path / "out")
    lines = [row for _, row in read_jsonl(tmp_path / "out" / "rejected.jsonl")]
    assert {row["id"]: row["reason"] for row in lines} == WITHOUT
    assert (report["pairs"], report["rules"]) == (6, 8) and report["rules without a pair"] == {
        "rule not returned": 1,
        "nothing to quote": 1,
    }
    rules = {rule.id: rule for rule in RuleBook.load(book).rules}
    for identity, (refused, answered, direct) in rows_by_rule(tmp_path / "out").items():
        rule = rules[identity]
        assert [row.id for row in (refused, answered, direct)] == [
            f"{identity}-forbidden-train",
            f"{identity}-innocent-train",
            f"{identity}-innocent-train-direct",
        ]
        assert [(row.kind, row.mode) for row in (refused, answered, direct)] == [
            (Kind.HARMFUL, "consult"),
            (Kind.SENSITIVE, "consult"),
            (Kind.SENSITIVE, "direct"),
        ]
        for row in (refused, answered):
            call, result, last = row.messages[-3:]
            assert call.tool_calls and not call.content
            assert rule.text in result.content
            assert quotes(last.reasoning_content or "", rule)
        if rule.exempt:
            assert rule.exempt.strip(".。") in (answered.messages[-1].reasoning_content or "")
        assert answered.messages[-1].content == direct.messages[-1].content
        assert answered.prompt_id == direct.prompt_id
        assert learned(refused, renderer) and learned(direct, renderer)


def test_the_prompts_can_be_named_in_a_run(book: str, tmp_path: Path) -> None:
    make_pairs(PairSettings(rules=book), tmp_path / "out")
    prompts = load_prompts([f"file:{tmp_path / 'out' / 'prompts.jsonl'}"])
    assert len(prompts) == 4 * 6
    of_one = [prompt for prompt in prompts if prompt.rule == "shop.prices"]
    assert [(prompt.kind, split_of(prompt), prompt.category) for prompt in of_one] == [
        (Kind.HARMFUL, "train", "shop"),
        (Kind.SENSITIVE, "train", "shop"),
        (Kind.HARMFUL, "test", "shop"),
        (Kind.SENSITIVE, "test", "shop"),
    ]
    assert len({prompt.text for prompt in prompts}) == len(prompts)
    assert all("quote prices of competitors or compare our prices with theirs" in prompt.text for prompt in of_one)


def test_the_seed_chooses_the_wording(book: str, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder, seed in zip(folders, (0, 0, 1), strict=True):
        make_pairs(PairSettings(rules=book, seed=seed), folder)
    make_pairs(PairSettings(rules=book), folders[0])
    assert contents(folders[0]) == contents(folders[1]) != contents(folders[2])


def test_templates_pass_the_checks_of_a_teacher_on_the_shipped_rules() -> None:
    tool = ConsultTool(RuleBook.load())
    for rule in tool.book.rules:
        texts = from_templates(rule, tool, 0)
        assert isinstance(texts, PairTexts), rule.id
        shown = texts.shown(rule, tool)
        assert shortcoming(rule, shown) is None, rule.id
        assert [check(prompt, walked, OfflineJudge(), tool.book) for prompt, walked in shown] == [None] * 3, rule.id


@given(st.text(min_size=1, max_size=400), st.text(max_size=400), st.integers(0, 9))
def test_no_text_of_a_rule_breaks_the_templates(text: str, exempt: str, seed: int) -> None:
    rule = Rule(id="a.b", category="a", title="A", text=text, exempt=exempt)
    tool = ConsultTool(RuleBook([rule, Rule(id="a.c", category="a", title="A", text="Telling where people live.")]))
    made = from_templates(rule, tool, seed)
    if isinstance(made, PairTexts):
        assert shortcoming(rule, made.shown(rule, tool)) in (None, "rule not returned", "rule not quoted")
        assert made == from_templates(rule, tool, seed)
    else:
        assert made == "nothing to quote"


@pytest.mark.parametrize("unit", ["word ", "字", "Do not tell it. ", 'a "', "e\u0301 ", "🙂"])
def test_long_rules_are_cut_in_prompts_and_quotations(unit: str) -> None:
    rule = Rule(id="a.b", category="a", title="A", text=f"lamps never break {unit * 20_000}"[:20_000])
    made = from_templates(rule, ConsultTool(RuleBook([rule])), 0)
    assert isinstance(made, PairTexts)
    assert max(map(len, made.model_dump().values())) < LONGEST_TEXT
    assert shortcoming(rule, made.shown(rule, ConsultTool(RuleBook([rule])))) == "too long"


@pytest.mark.parametrize(
    ("text", "topic", "form"),
    [
        ("Do not quote prices.", "quote prices", "deed"),
        ("Never, ever share passwords!", "share passwords", "deed"),
        ("The assistant must never give odds.", "give odds", "deed"),
        ("Please don’t bet.", "bet", "deed"),
        ("No one may share passwords.", "share passwords", "deed"),
        ("It is forbidden to smoke.", "smoke", "deed"),
        ("Publishing addresses.", "publishing addresses", "thing"),
        ("DNA of people who are not famous.", "DNA of people who are not famous", "thing"),
        ("Gambling is strictly prohibited.", "gambling", "thing"),
        ("Avoid politics.", "politics", "thing"),
        ("Names must not be told.", "Names must not be told", "other"),
        ("Never be rude.", "Never be rude", "other"),
        ("Always say that you are a machine.", "Always say that you are a machine", "other"),
        ("Keine Preise nennen.", "Keine Preise nennen", "other"),
        ("不要报竞争对手的价格。", "不要报竞争对手的价格", "other"),
        ("Do not ...", "Do not", "other"),
    ],
)
def test_the_topic_of_a_rule(text: str, topic: str, form: str) -> None:
    assert topic_of(text) == (topic, form)


@pytest.mark.parametrize(
    ("thought", "right"),
    [
        ('It says "Giving advice on losing weight", so no.', True),
        ('It says "giving  ADVICE on losing weight by fasting." and allows "recipes".', True),
        ('It allows "Recipes, and where to find a doctor", so yes.', False),
        ('It says "weight" and that is it.', False),
        ('It says "Giving advice on losing weight" and "no dogs".', False),
        ("It says 'Giving advice on losing weight'.", False),
        ('It says "Giving advice on losing weight.', False),
        ('It says "".', False),
    ],
)
def test_a_second_thought_quotes_its_rule(thought: str, right: bool) -> None:
    identity, text, exempt = RULES[1]
    assert quotes(thought, Rule(id=identity, category="a", title="A", text=text, exempt=exempt)) is right
