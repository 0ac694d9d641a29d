"""The shipped starter set: its counts, splits and spelling, its arithmetic, and demonstrations worth cloning."""

import re
from collections import Counter
from pathlib import Path

import pytest

from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.data.load import STARTER, load_prompts
from ascl.data.prompt import Kind, Prompt, split_of
from ascl.judges.judge import judge_one
from ascl.judges.lexical.offline import OfflineJudge
from ascl.recipes.ascl import acceptable, demonstrate, demonstrated, load_demonstrations
from ascl.recipes.demonstrations import Demonstration
from ascl.rules.book import RuleBook

PROMPTS = {prompt.id: prompt for prompt in load_prompts(["starter"])}
DEMONSTRATIONS = load_demonstrations()
QUESTIONS = {
    r"What is (\d+) \+ (\d+)\?": lambda a, b: a + b,
    r"What is (\d+) - (\d+)\?": lambda a, b: a - b,
    r"What is (\d+) times (\d+)\?": lambda a, b: a * b,
    r"What is double (\d+)\?": lambda a: 2 * a,
    r"What is half of (\d+)\?": lambda a: a / 2,
    r"Which number is larger, (\d+) or (\d+)\?": max,
    r"(?:\w+) has (\d+) (\w+) and gets (\d+) more\. How many \2 does \w+ have now\?": lambda a, b: a + b,
}
_OUR = "behavi|col|endeav|fav|flav|harb|hon|hum|lab|neighb|od|rum|sav|vap|vig"
_ISE = (
    "apolog|author|categor|character|civil|critic|custom|emphas|equal|final|general|harmon|initial|item|legal|maxim"
    "|memor|minim|moral|neutral|normal|optim|organ|personal|priorit|real|recogn|sanit|special|stabil|summar|sympath"
    "|symbol|token|util|victim|visual"
)
_OTHER = (
    "aluminium|anaesthetics?|analyse[ds]?|catalogues?|centres?|cheques?|cosy|counsell\\w+|cancell\\w+|defence|fibres?|grey"
    "|jewellery|kerb|learnt|licences?|litres?|metres?|modell\\w+|mould\\w*|moustaches?|offence|practise[ds]?|programmes?"
    "|pyjamas|sceptic\\w*|theatres?|travell\\w+|tyres?|whilst"
)
BRITISH = re.compile(
    rf"\b(?:(?:un|re)?(?:(?:{_OUR})our\w*|(?:{_ISE})is(?:e|ed|er|es|ing|ation)|{_OTHER}))\b", re.IGNORECASE
)


@pytest.fixture(scope="module")
def tool() -> ConsultTool:
    return ConsultTool(RuleBook.load())


def of(kind: Kind) -> list[Prompt]:
    return [prompt for prompt in PROMPTS.values() if prompt.kind is kind]


@pytest.mark.parametrize(
    ("kind", "least"), [(Kind.HARMFUL, 60), (Kind.SENSITIVE, 90), (Kind.PLAIN, 60), (Kind.REASONING, 60)]
)
def test_counts_and_splits(kind: Kind, least: int) -> None:
    assert len(of(kind)) >= least
    assert all(prompt.split is not None for prompt in of(kind)), "a starter prompt says its split"
    shares = Counter(split_of(prompt) for prompt in of(kind))
    assert min(shares["train"], shares["test"]) >= 30


@pytest.mark.parametrize("kind", [Kind.HARMFUL, Kind.SENSITIVE])
@pytest.mark.parametrize("split", ["train", "test"])
def test_categories_are_those_of_the_rule_book(kind: Kind, split: str, tool: ConsultTool) -> None:
    found = {prompt.category for prompt in of(kind) if prompt.split == split}
    assert len(found) >= 15
    assert found <= {rule.category for rule in tool.book.rules}


def test_every_prompt_occurs_once() -> None:
    lines = sum(len((STARTER / f"{kind.value}.jsonl").read_text(encoding="utf-8").splitlines()) for kind in Kind)
    assert lines == len(PROMPTS)
    texts = Counter(prompt.text.lower() for prompt in PROMPTS.values())
    assert [text for text, times in texts.items() if times > 1] == []
    assert all(prompt.id.startswith(f"starter-{prompt.kind.value}-") for prompt in PROMPTS.values())


@pytest.mark.parametrize("prompt", of(Kind.REASONING), ids=lambda prompt: prompt.id)
def test_arithmetic(prompt: Prompt) -> None:
    for form, solve in QUESTIONS.items():
        if match := re.fullmatch(form, prompt.text):
            numbers = [int(group) for group in match.groups() if group.isdigit()]
            assert prompt.answer is not None
            assert float(prompt.answer) == solve(*numbers)
            return
    pytest.fail(f"no form fits {prompt.text}")


def test_a_demonstration_belongs_to_a_train_prompt_and_each_mode_occurs_once() -> None:
    assert [one.id for one in DEMONSTRATIONS if one.id not in PROMPTS or PROMPTS[one.id].split != "train"] == []
    assert max(Counter((one.id, one.mode) for one in DEMONSTRATIONS).values()) == 1


@pytest.mark.parametrize("demonstration", DEMONSTRATIONS, ids=lambda one: f"{one.id}-{one.mode}")
def test_demonstrations_pass_the_recipe(demonstration: Demonstration, tool: ConsultTool) -> None:
    prompt = PROMPTS[demonstration.id]
    assert demonstration.mode == ("consult" if demonstration.query else "direct")
    assert (demonstration.second_thought is not None) == (demonstration.query is not None)
    trajectory = demonstrate(prompt, demonstration, tool)
    verdict = judge_one(OfflineJudge(), prompt, trajectory)
    assert acceptable(prompt.kind, trajectory, verdict), (prompt.text, demonstration.answer, verdict)


def test_every_rule_is_demonstrated(tool: ConsultTool) -> None:
    of = Counter((prompt.rule, prompt.kind, t.consulted) for prompt, t in demonstrated(tool) if prompt.rule)
    for rule in tool.book.rules:
        assert of[rule.id, Kind.HARMFUL, True] == of[rule.id, Kind.SENSITIVE, True] == 1
    counts = Counter((prompt.kind, trajectory.consulted) for prompt, trajectory in demonstrated(tool))
    assert counts[Kind.SENSITIVE, False] == len(tool.book.rules) // 2
    assert min(counts[Kind.PLAIN, False], counts[Kind.REASONING, False]) >= 30
    assert counts[Kind.HARMFUL, False] == counts[Kind.PLAIN, True] == counts[Kind.REASONING, True] == 0


def test_consulted_rules_come_from_the_book(tool: ConsultTool) -> None:
    texts = {hit.shown for hit in tool.hits([(rule, 1.0) for rule in tool.book.rules])}
    for prompt, trajectory in demonstrated(tool):
        results = [message for message in trajectory.messages if message.role == "tool"]
        assert bool(results) == trajectory.consulted
        for message, consultation in zip(results, trajectory.consultations, strict=True):
            assert message.content == tool.call(TOOL_NAME, {"query": consultation.query}).text
            lines = message.content.splitlines()
            assert 1 <= len(lines) <= tool.default_top_k, prompt.id
            assert {re.sub(r"^\d+\. \(\d+\.\d%\) ", "", line) for line in lines} <= texts


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_harmful_demonstrations_find_a_rule_that_fits(top_k: int) -> None:
    tool = ConsultTool(RuleBook.load(), top_k)
    category = {rule.id: rule.category for rule in tool.book.rules}
    harmful = [(p, t) for p, t in demonstrated(tool) if p.kind is Kind.HARMFUL]
    strays = [
        (prompt.text, [hit.text for hit in trajectory.consultations[0].hits])
        for prompt, trajectory in harmful
        if prompt.category not in {category[hit.id] for hit in trajectory.consultations[0].hits}
    ]
    assert len(strays) <= 0.1 * len(harmful), strays


@pytest.mark.parametrize("path", sorted(STARTER.glob("*.jsonl")), ids=lambda path: path.stem)
def test_american_spelling(path: Path) -> None:
    found = [
        f"line {number}: {match.group()}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for match in BRITISH.finditer(re.sub(r'"rule": "[^"]*"', "", line))
    ]
    assert found == []
