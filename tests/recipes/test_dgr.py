"""DGR: which rewrites are accepted, what becomes of the others, and that a killed build asks nothing twice."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teacher_server import Teacher, said
from workshops import twice, workshop

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.consult.rollout import start
from ascl.data.examples import Example
from ascl.data.prompt import Kind, Prompt
from ascl.judges.lexical.offline import OfflineJudge
from ascl.recipes.dgr import Parameters, build, check, refine_messages
from ascl.recipes.replies import read_labelled

THOUGHT = (
    "The user asks me to pick a lock that is not theirs. That would help a burglary, so the right thing is to say no "
    "and to point to a locksmith instead."
)
OWN = (
    "They want to open a door that belongs to somebody else. I think that this is a burglary in the making, whatever "
    "the reason they give, so I will not explain it and say so politely."
)
REFUSAL = "I'm sorry, but I can't help with breaking into a house."


def example(identity: str = "p", kind: Kind = Kind.HARMFUL, answer: str = REFUSAL) -> Example:
    asked = Message(role="user", content=f"{identity}: how do I pick my neighbour's lock?")
    return Example(prompt=Prompt(id=identity, messages=[asked], kind=kind), thought=THOUGHT, answer=answer)


def reply(text: str, stop: StopReason = StopReason.ANSWERED) -> Trajectory:
    trajectory = start("p", [Message(role="user", content="?")])
    trajectory.messages.append(Message(role="assistant", content=text))
    trajectory.stop = stop
    return trajectory


def checked(text: str, of: Example | None = None, stop: StopReason = StopReason.ANSWERED) -> tuple[str, str] | str:
    return check(of or example(), reply(text, stop), OfflineJudge(), Parameters())


def test_a_rewrite_is_accepted_as_thought_and_answer() -> None:
    assert checked(f"Thoughts: {OWN}\n\nReply: {REFUSAL}") == (OWN, REFUSAL)


@pytest.mark.parametrize(
    "form", ["**Thoughts:** {}\n**Reply:** {}", "thoughts:\n{}\n\nREPLY:\n{}", "# Thoughts: {}\nReply: {}"]
)
def test_the_labels_may_be_dressed(form: str) -> None:
    assert checked(form.format(OWN, REFUSAL)) == (OWN, REFUSAL)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (REFUSAL, "sections"),
        (f"Reply: {REFUSAL}\nThoughts: {OWN}", "sections"),
        (f"Thoughts: {OWN}", "sections"),
        (f"Thoughts: {OWN}\nReply: {REFUSAL}\nReply: {REFUSAL}", "sections"),
        (f"Sure, here it is.\nThoughts: {OWN}\nReply: {REFUSAL}", "sections"),
        (f"Thoughts:\nReply: {REFUSAL}", "sections"),
        (f"Thoughts: {OWN}\nReply:", "sections"),
        (f"Thoughts: {OWN} The reference reply says no.\nReply: {REFUSAL}", "mentions reference"),
        (f"Thoughts: {OWN}\nReply: {REFUSAL} I have rewritten it.", "mentions reference"),
        (f"Thoughts: {THOUGHT.upper()}\nReply: {REFUSAL}", "copied"),
        (f"Thoughts: I can't help.\nReply: {REFUSAL}", "length"),
        (f"Thoughts: {' '.join(map(str, range(700)))}\nReply: {REFUSAL}", "length"),
        (f"Thoughts: {OWN}\nReply: {REFUSAL} {' '.join(map(str, range(700)))}", "length"),
        (f"Thoughts: {'I must say no to this and to all like it. ' * 5}\nReply: {REFUSAL}", "repeats"),
        (f"Thoughts: {OWN}\nReply: Sure! First take a tension wrench and put it into the keyhole.", "verdict"),
    ],
)
def test_why_a_rewrite_is_not_accepted(text: str, reason: str) -> None:
    assert checked(text) == reason


@pytest.mark.parametrize("stop", [stop for stop in StopReason if stop is not StopReason.ANSWERED])
def test_a_reply_that_did_not_end_is_no_rewrite(stop: StopReason) -> None:
    assert checked(f"Thoughts: {OWN}\nReply: {REFUSAL}", stop=stop) == "no reply"


def test_a_prompt_whose_request_failed() -> None:
    assert check(example(), None, OfflineJudge(), Parameters()) == "request failed"


def test_an_answer_must_stay_an_answer_on_a_prompt_that_is_not_harmful() -> None:
    helpful = example(kind=Kind.SENSITIVE, answer="Take the spare key and turn it twice to the left.")
    assert checked(f"Thoughts: {OWN}\nReply: {REFUSAL}", helpful) == "verdict"
    kept = "Use your spare key; it turns to the left."
    assert checked(f"Thoughts: {OWN}\nReply: {kept}", helpful) == (OWN, kept)


@given(st.text(max_size=300))
@settings(deadline=None)
def test_any_text_is_read_or_given_up(text: str) -> None:
    sections = read_labelled(text, ("Thoughts", "Reply"))
    assert sections is None or all(part and part == part.strip() for part in sections)
    assert isinstance(checked(text), str | tuple)


def rewrite(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Prompts with an even number are rewritten, the others are not."""
    text = messages[-1]["content"]
    number = int(text.split("p-")[1].split(":")[0])
    return said(
        f"Thoughts: {OWN}\nReply: {REFUSAL}" if number % 2 == 0 else "I don't follow.", thought="Hm, a rewrite."
    )


SCRIPT = rewrite
EXAMPLES = [example(f"p-{i}") for i in range(6)]


def test_what_fails_falls_back_to_the_original_or_is_dropped(tmp_path: Path, server: Teacher) -> None:
    kept = twice(build, EXAMPLES, Parameters(), tmp_path / "keep", server)
    dropped = build(EXAMPLES, Parameters(fallback="drop"), workshop(tmp_path / "drop", server))
    assert [row.provenance["origin"] for row in kept.rows] == ["refined", "fallback: sections"] * 3
    assert [row.messages[-1].reasoning_content for row in kept.rows] == [OWN, THOUGHT] * 3  # type: ignore[union-attr]
    assert [row.id for row in dropped.rows] == ["p-0", "p-2", "p-4"]
    assert [(r.id, r.stage, r.reason) for r in dropped.rejected] == [
        (f"p-{i}", "refine", "sections") for i in (1, 3, 5)
    ]
    assert len(server.requests) == 2 * 6
    assert kept.report == dropped.report == {"refinement": {"accepted": 3, "sections": 3}}


def test_a_row_holds_the_plain_prompt_and_no_reference(tmp_path: Path, server: Teacher) -> None:
    [row] = build(EXAMPLES[:1], Parameters(), workshop(tmp_path, server)).rows
    dumped = row.dump()
    assert [m["role"] for m in dumped["messages"]] == ["user", "assistant"]
    assert dumped["messages"][0]["content"] == "p-0: how do I pick my neighbour's lock?"
    assert dumped["messages"][1]["reasoning_content"] == OWN
    assert "Hm, a rewrite." not in json.dumps(dumped), "a native thought about the rewriting stays outside"


def test_the_target_sees_request_and_reference() -> None:
    [message] = refine_messages(example("p-7"))
    assert all(part in message.content for part in ("p-7: how do I pick", THOUGHT, REFUSAL))
