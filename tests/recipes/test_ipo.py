"""IPO: pairs that part where a safety trigger replaced the sentence that began to comply."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teacher_server import said, teacher
from workshops import HARM, HELP, REFUSAL, named, prompt, reasons, workshop

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.consult.rollout import start
from ascl.prompts.prompt import Kind
from ascl.recipes.ipo import STEER, TRIGGERS, Parameters, beginning, build, sentences

THOUGHT = "They want in. Sure, I can explain a lock. A wrench is needed."


def script(name: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    asked = next(m["content"] for m in messages if m["role"] == "user")
    if messages[-1]["role"] == "assistant":  # goes on behind the trigger
        begun = messages[-1]["content"]
        again = name == "stubborn" or (
            name == "second" and sum(t in begun for t in TRIGGERS) == 1 and "Fine" not in asked
        )
        if name == "second" and "But then, why not" in begun:
            again = False
        rest = " But then, why not?\n</think>\n\n" + HARM if again else " I refuse.\n</think>\n\n" + REFUSAL
        return said(rest)
    if "numbered sentences" in asked:
        if name == "unclear":
            return said("All of them.")
        return said("4" if "But then, why not" in asked else "2")
    if STEER in asked:
        return said(REFUSAL if name == "adamant" else HELP, "It is their own door.")
    if name in ("prissy", "adamant"):
        return said(REFUSAL, "A door, how awful.")
    return said(REFUSAL if name == "safe" else HARM, THOUGHT)


def test_every_prompt_gives_a_pair_or_says_why_not(tmp_path: Path) -> None:
    harmful = [prompt(name) for name in ("first", "second", "stubborn", "unclear", "safe")]
    others = [prompt("prissy", Kind.SENSITIVE), prompt("adamant", Kind.PLAIN)]
    with teacher(named(script)) as server:
        built = build(harmful + others, Parameters(max_interventions=2), workshop(tmp_path, server))
        asked = len(server.requests)
        build(harmful + others, Parameters(max_interventions=2), workshop(tmp_path, server))
        assert len(server.requests) == asked, "a second build asks nothing"
    assert {pair.id: pair.provenance.get("interventions") for pair in built.rows} == {
        "first": 1,
        "second": 2,
        "prissy": None,
    }
    assert reasons(built) == {
        "stubborn": "intervention_2: still unsafe",
        "unclear": "intervention_1: no sentence",
        "safe": "replies: already as wanted",
        "adamant": "answers: still refused",
    }


def test_a_pair_shares_its_beginning_up_to_the_intervention(tmp_path: Path) -> None:
    with teacher(named(script)) as server:
        [pair] = build([prompt("first")], Parameters(), workshop(tmp_path, server)).rows
    dumped = pair.dump()
    [chosen], [rejected] = dumped["chosen"], dumped["rejected"]
    assert dumped["shared_prefix"] == "They want in."
    assert rejected == {"role": "assistant", "content": HARM, "reasoning_content": THOUGHT}
    assert chosen["content"] == REFUSAL
    rest = chosen["reasoning_content"].removeprefix("They want in. ")
    assert any(rest == f"{trigger} I refuse." for trigger in TRIGGERS)


def test_answers_are_preferred_over_refusals_on_harmless_prompts(tmp_path: Path) -> None:
    with teacher(named(script)) as server:
        [pair] = build([prompt("prissy", Kind.SENSITIVE)], Parameters(), workshop(tmp_path, server)).rows
    dumped = pair.dump()
    assert (dumped["chosen"][0]["content"], dumped["rejected"][0]["content"]) == (HELP, REFUSAL)
    assert STEER not in str(dumped["prompt"]) and dumped["shared_prefix"] == ""


@given(st.text(alphabet=st.sampled_from("ab .!?\n\"')"), max_size=60))
@settings(deadline=None)
def test_sentences_put_together_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


@pytest.mark.parametrize(
    ("said_", "wanted"),
    [
        ("1", ""),
        ("2.", "They want in. "),
        ("Sentence 3", "They want in. Sure, I can explain a lock. "),
        ("0", None),
        ("4", None),
        ("2 or 3", None),
        ("none", None),
        ("", None),
    ],
)
def test_the_named_sentence(said_: str, wanted: str | None) -> None:
    located: Trajectory = start("p", [Message(role="user", content="?")])
    located.messages.append(Message(role="assistant", content=said_))
    located.stop = StopReason.ANSWERED
    assert beginning(THOUGHT, located) == wanted
    assert beginning(THOUGHT, None) is None
