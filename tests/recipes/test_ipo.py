"""IPO: pairs that part where a safety trigger replaced the sentence that began to comply, and benign pairs."""

from pathlib import Path
from typing import Any

import pytest
from teacher_server import Teacher, said, teacher
from workshops import HARM, HELP, REFUSAL, cut, named, prompt, reasons, twice, workshop

from ascl.data.prompt import Kind
from ascl.data.row import Pair
from ascl.errors import InputError
from ascl.recipes import ipo
from ascl.recipes.data_set import check_parameters
from ascl.recipes.ipo import TRIGGERS, Parameters, beginning, build, unsafe_shares

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
    if "The following prompt is harmful." in asked:
        return said(HELP if name == "helpful" else REFUSAL, "A door, how awful.")
    if name in ("solves", "wrong"):
        return said(f"The answer is {4 if name == 'solves' else 5}.", "2 + 2")
    if name == "thoughtless":
        return said(HARM)
    if name in ("helps", "helpful"):
        return said(HELP, "It is their own door.")
    return said(REFUSAL if name in ("safe", "prissy") else HARM, THOUGHT)


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
    "prissy": "replies: verdict", "wrong": "replies: verdict", "helpful": "refusals: no refusal",
}  # fmt: skip
OTHERS = {
    "prissy": Kind.SENSITIVE, "helps": Kind.SENSITIVE, "helpful": Kind.PLAIN, "wrong": Kind.REASONING,
    "solves": Kind.REASONING,
}  # fmt: skip
SCRIPT = named(script)
PROMPTS = [prompt(n, OTHERS.get(n, Kind.HARMFUL)) for n in ("first", "behind", "before", "helps", "solves", *REASONS)]


def test_every_prompt_gives_a_pair_or_says_why_not(tmp_path: Path, server: Teacher) -> None:
    built = twice(build, PROMPTS, Parameters(max_interventions=2), tmp_path, server)
    given = {pair.id: pair.provenance.get("interventions") for pair in built.rows}
    assert given == {"first": 1, "behind": 2, "before": 2, "helps": None, "solves": None}
    assert reasons(built) == REASONS
    assert built.report["share unsafe after"] == {"no round": 1, "round 1": 6 / 7, "round 2": 4 / 7}
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


@pytest.mark.parametrize("name", ["helps", "solves"])
def test_an_ordinary_reply_is_preferred_over_a_refusal_that_was_steered(tmp_path: Path, name: str) -> None:
    dumped = pair_of(name, tmp_path, kind=OTHERS[name]).dump()
    [chosen], [rejected] = dumped["chosen"], dumped["rejected"]
    assert rejected == {"role": "assistant", "content": REFUSAL, "reasoning_content": "A door, how awful."}
    assert chosen["content"] in (HELP, "The answer is 4.")
    assert "harmful" not in str(dumped["prompt"]) and dumped["shared_prefix"] == ""


def test_six_rounds_with_another_trigger_each(tmp_path: Path) -> None:
    """A thought that is made safe in the sixth round, and one that never is."""
    triggers: dict[str, list[str]] = {}

    def relapses(name: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        if messages[-1]["role"] != "assistant":
            return script(name, messages)
        used = triggers.setdefault(name, [])
        used.append(next(one for one in TRIGGERS if messages[-1]["content"].endswith(one)))
        safe = name == "late" and len(used) == 6
        return said(f" I refuse.\n</think>\n\n{REFUSAL}" if safe else f"{RELAPSE}\n</think>\n\n{HARM}")

    with teacher(named(relapses)) as server:
        built = twice(build, [prompt("late"), prompt("never")], Parameters(), tmp_path, server)
    assert [(pair.id, pair.provenance["interventions"]) for pair in built.rows] == [("late", 6)]
    assert reasons(built) == {"never": "intervention_6: still unsafe"}
    assert all(sorted(used) == sorted(TRIGGERS) for used in triggers.values())
    assert list(built.report["share unsafe after"].values()) == [1, 1, 1, 1, 1, 1, 0.5]


def test_the_shares_after_each_round() -> None:
    assert unsafe_shares(0, [], 6) == {}
    assert unsafe_shares(4, [], 2) == {"no round": 1, "round 1": 1, "round 2": 1}


def test_a_locator_apart_from_the_target(tmp_path: Path) -> None:
    """The target is never asked for the sentence, the locator for nothing else."""
    with teacher(named(script)) as target, teacher(named(script)) as other:
        parameters = Parameters(locator="big-reader", locator_base_url=other.base_url)
        built = build([prompt("first"), prompt("helps", Kind.PLAIN)], parameters, workshop(tmp_path, target))
        assert len(built.rows) == 2
        assert not any("numbered sentences" in text for text in target.asked)
        assert len(other.asked) == 1 and "numbered sentences" in other.asked[0]
        assert other.requests[0]["model"] == "big-reader"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"max_interventions": 7}, "max_interventions: Input should be less than or equal to 6"),
        ({"locator_base_url": "http://localhost:1/v1"}, "locator_base_url: name the locator"),
    ],
)
def test_settings_that_can_not_be(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_parameters(ipo, given)


@pytest.mark.parametrize(
    ("named_", "wanted"),
    [
        ("1", ""), ("2.", "They want in. "), ("Sentence 3", "They want in. Sure, I can explain a lock. "), ("0", None),
        ("4", None), ("2 or 3", None), ("none", None), ("", None),
    ],
)  # fmt: skip
def test_the_named_sentence(named_: str, wanted: str | None) -> None:
    assert beginning(THOUGHT, named_) == wanted
