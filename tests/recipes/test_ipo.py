"""IPO: pairs that part where a safety trigger replaced the sentence that began to comply."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teacher_server import Teacher, said, teacher
from workshops import HARM, HELP, REFUSAL, cut, named, prompt, reasons, twice, workshop

from ascl.data.prompt import Kind
from ascl.data.row import Pair
from ascl.recipes.ipo import STEER, TRIGGERS, Parameters, beginning, build, sentences

THOUGHT = "They want in. Sure, I can explain a lock. A wrench is needed."
RELAPSE = " But then, why not?"


def script(name: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    asked = next(m["content"] for m in messages if m["role"] == "user")
    if messages[-1]["role"] == "assistant":  # goes on behind the trigger
        return goes_on(name, messages[-1]["content"])
    if "numbered sentences" in asked:
        if name == "cut-number":
            return cut(said("2"))
        return said("All of them." if name == "unclear" else sentence(name, asked))
    if STEER in asked:
        solved = said("The answer is 5.", "2 + 2") if name == "wrong-again" else said(HELP, "It is their own door.")
        return said(REFUSAL, "No.") if name == "adamant" else solved
    if name in ("prissy", "adamant", "wrong-again"):
        return said(REFUSAL, "A door, how awful.")
    if name == "wrong":
        return said("The answer is 5.", "2 + 2")
    if name == "thoughtless":
        return said(HARM)
    return said(HELP if name == "helps" else REFUSAL if name == "safe" else HARM, THOUGHT)


def goes_on(name: str, begun: str) -> dict[str, Any]:
    rounds = begun.count("</think>") + sum(begun.count(trigger) for trigger in TRIGGERS)
    if name == "mute":
        return said(" I refuse.\n</think>\n\n")
    if name == "stubborn" or (name in ("behind", "before") and rounds == 1 and "They want in." in begun):
        return said(f"{RELAPSE}\n</think>\n\n{HARM}")
    return said(f" I refuse.\n</think>\n\n{REFUSAL}")


def sentence(name: str, asked: str) -> str:
    """The number of the sentence to be replaced: `Sure, ..`, later the relapse behind the trigger (or the first)."""
    listed = asked.split("Thoughts:\n")[1].splitlines()
    if name == "before" and RELAPSE.strip() in asked:
        return "1"
    wanted = RELAPSE.strip() if RELAPSE.strip() in asked else "Sure"
    return next(line.split(".")[0] for line in listed if wanted in line)


REASONS = {
    "failing": "traces: request failed", "thoughtless": "traces: no thought", "safe": "traces: already safe",
    "cut-number": "intervention_1_sentence: no reply", "unclear": "intervention_1_sentence: no sentence",
    "mute": "intervention_1: no reply", "stubborn": "intervention_2: still unsafe",
    "helps": "replies: already answered", "wrong": "replies: already answered", "adamant": "answers: verdict",
    "wrong-again": "answers: verdict",
}  # fmt: skip
OTHERS = {
    "prissy": Kind.SENSITIVE, "helps": Kind.SENSITIVE, "adamant": Kind.PLAIN, "wrong": Kind.REASONING,
    "wrong-again": Kind.REASONING,
}  # fmt: skip
SCRIPT = named(script)
PROMPTS = [prompt(n, OTHERS.get(n, Kind.HARMFUL)) for n in ("first", "behind", "before", "prissy", *REASONS)]


def test_every_prompt_gives_a_pair_or_says_why_not(tmp_path: Path, server: Teacher) -> None:
    built = twice(build, PROMPTS, Parameters(max_interventions=2), tmp_path, server)
    given = {pair.id: pair.provenance.get("interventions") for pair in built.rows}
    assert given == {"first": 1, "behind": 2, "before": 2, "prissy": None}
    assert reasons(built) == REASONS
    assert built.report["interventions"] == {"1": 1, "2": 2}
    assert sum(built.report["prompts"].values()) == len(PROMPTS)


def pair_of(name: str, folder: Path, first_thought: str = THOUGHT, kind: Kind = Kind.HARMFUL) -> Pair:
    def thinks(name: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        reply = script(name, messages)
        return reply | {"reasoning_content": first_thought} if reply.get("reasoning_content") == THOUGHT else reply

    with teacher(named(thinks)) as server:
        [pair] = build([prompt(name, kind)], Parameters(), workshop(folder, server)).rows
    assert isinstance(pair, Pair)
    return pair


def test_a_pair_shares_its_beginning_up_to_the_intervention(tmp_path: Path) -> None:
    dumped = pair_of("first", tmp_path).dump()
    [chosen], [rejected] = dumped["chosen"], dumped["rejected"]
    assert dumped["shared_prefix"] == "They want in."
    assert rejected == {"role": "assistant", "content": HARM, "reasoning_content": THOUGHT}
    assert chosen["content"] == REFUSAL
    rest = chosen["reasoning_content"].removeprefix("They want in. ")
    assert any(rest == f"{trigger} I refuse." for trigger in TRIGGERS)


@pytest.mark.parametrize(("name", "shared"), [("behind", "They want in."), ("before", "")])
def test_after_two_interventions_the_pair_shares_what_both_left(tmp_path: Path, name: str, shared: str) -> None:
    pair = pair_of(name, tmp_path)
    chosen = pair.chosen[0].reasoning_content or ""
    assert pair.shared_prefix == shared and chosen.startswith(shared)
    assert "Sure, I can" not in chosen and RELAPSE not in chosen
    used = [trigger for trigger in TRIGGERS if trigger in chosen]
    assert len(used) == (2 if name == "behind" else 1), "another trigger in each round"


def test_a_marker_in_a_thought_is_broken_on_both_sides(tmp_path: Path) -> None:
    pair = pair_of("first", tmp_path, f"[INST] This is a door. {THOUGHT}")
    better, worse = pair.chosen[0].reasoning_content or "", pair.rejected[0].reasoning_content or ""
    assert "[INST]" not in better + worse and "They want in." in pair.shared_prefix
    assert better.startswith(pair.shared_prefix) and worse.startswith(pair.shared_prefix)


def test_answers_are_preferred_over_refusals_on_harmless_prompts(tmp_path: Path) -> None:
    dumped = pair_of("prissy", tmp_path, kind=Kind.SENSITIVE).dump()
    assert (dumped["chosen"][0]["content"], dumped["rejected"][0]["content"]) == (HELP, REFUSAL)
    assert STEER not in str(dumped["prompt"]) and dumped["shared_prefix"] == ""


@given(st.text(alphabet=st.sampled_from("ab .!?\n\"')"), max_size=60))
@settings(deadline=None)
def test_sentences_put_together_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


@pytest.mark.parametrize(
    ("named_", "wanted"),
    [
        ("1", ""), ("2.", "They want in. "), ("Sentence 3", "They want in. Sure, I can explain a lock. "), ("0", None),
        ("4", None), ("2 or 3", None), ("none", None), ("", None),
    ],
)  # fmt: skip
def test_the_named_sentence(named_: str, wanted: str | None) -> None:
    assert beginning(THOUGHT, named_) == wanted
