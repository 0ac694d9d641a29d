"""`ascl data demonstrations` as a user types it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from teacher_server import said, teacher, user_text
from typer.testing import CliRunner

from ascl.cli.main import app

COMMAND = ("data", "demonstrations", "--rules", "rules.yaml", "--out", "out")
RULES = """
category: house
title: House
rules:
  - {id: house.odds, text: Do not give odds for horse races.}
  - {id: house.diet, text: Giving advice on diets., exempt: Recipes for a soup.}
"""
TEXTS = {
    "forbidden_prompt": "What are the odds for the horse in the third race?",
    "forbidden_thought": "The user asks for odds. A rule may cover that, so I should check.",
    "forbidden_query": "odds for horse races",
    "forbidden_second_thought": 'The rule says "give odds for horse races", and the user asks for them. I refuse.',
    "forbidden_answer": "I can't give odds for a race. I can tell you how the race is run.",
    "innocent_prompt": "What is the name of the horse in the third race?",
    "innocent_thought": "The user asks about a horse race. A rule may cover that, so I should check.",
    "innocent_query": "horse races",
    "innocent_second_thought": 'The rule says "give odds for horse races", and a name gives no odds. I answer.',
    "innocent_answer": "The horse in the third race is called Bella, and she is six years old.",
    "direct_thought": "The name of a horse is harmless, so I answer.",
    "test_forbidden_prompt": "Give me the odds for the grey horse.",
    "test_innocent_prompt": "Give me the age of the grey horse.",
}


def write_rules(folder: Path) -> None:
    (folder / "rules.yaml").write_text(RULES)


def test_templates_go_into_a_folder_that_a_run_reads(folder: Path, ascl: Callable[..., tuple[int, str]]) -> None:
    write_rules(folder)
    code, out = ascl(*COMMAND, "--top-k", "2")
    assert code == 0
    assert "rows: harmful consult 2, sensitive consult 2, sensitive direct 2" in out
    assert out.endswith("2 pairs for 2 rules, by templates: out/train.jsonl\n")
    arms = "{bc: {method: sft, data: {rows: [out/train.jsonl]}}, rl: {from: bc, method: rl, algorithm: ifpo}}"
    run = (
        f"model: embedded\nprompts: ['file:out/prompts.jsonl']\nrules: {{source: rules.yaml, top_k: 2}}\narms: {arms}\n"
    )
    (folder / "run.yaml").write_text(run + "rl: {kinds: [harmful, sensitive]}\n")
    code, out = ascl("config", "check", "run.yaml")
    assert code == 0 and "bc" in out
    code, out = ascl("data", "show", "out", "--row", "house.diet-innocent-train")
    assert code == 0 and '"Recipes for a soup"' in out


def test_a_teacher_is_asked_once_and_counted(folder: Path, ascl: Callable[..., tuple[int, str]]) -> None:
    def script(messages: list[dict[str, Any]]) -> dict[str, Any]:
        return said(json.dumps(TEXTS) if "horse races" in user_text(messages) else "No \x1b[31mway.")

    write_rules(folder)
    with teacher(script) as server:
        asked = (*COMMAND, "--model", "big", "--base-url", server.base_url)
        first = CliRunner().invoke(app, asked)
        again = CliRunner().invoke(app, asked)
        assert len(server.requests) == 1 + 3
    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    assert first.stdout == again.stdout
    assert "attempts: pairs-1: accepted 1, pairs-1: no JSON 1, pairs-2: no JSON 1, pairs-3: no JSON 1" in first.stdout
    assert "rules without a pair: no JSON 1" in first.stdout
    assert "1 pairs for 2 rules, by big: out/train.jsonl" in first.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rules", "none.yaml"), "none.yaml"),
        (("--seed", "-1"), "--seed"),
        (("--top-k", "0"), "--top-k"),
        (("--out", "rules.yaml"), "rules.yaml"),
        (("--model", "big", "--base-url", "nowhere"), "--base-url"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, complaint: Callable[..., str], arguments: tuple[str, ...], said: str
) -> None:
    write_rules(folder)
    assert said in complaint(*COMMAND, *arguments)
