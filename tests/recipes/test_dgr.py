"""DGR: which rewrites are accepted, what is asked again, what becomes of the rest, and that nothing is asked twice."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teacher_server import Teacher, said, teacher
from workshops import HELP, Guard, reasons, twice, workshop

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.consult.rollout import start
from ascl.data.examples import Example
from ascl.data.prompt import Kind, Prompt
from ascl.judges.lexical.offline import OfflineJudge
from ascl.recipes.dgr import Form, Parameters, build, check, overlap, refine_messages
from ascl.recipes.replies import Reply, read_labelled

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


def reply(text: str, stop: StopReason = StopReason.ANSWERED, thought: str | None = None) -> Trajectory:
    trajectory = start("p", [Message(role="user", content="?")])
    trajectory.messages.append(Message(role="assistant", content=text, reasoning_content=thought))
    trajectory.stop = stop
    return trajectory


def checked(text: str, of: Example | None = None, stop: StopReason = StopReason.ANSWERED) -> tuple[str, str] | str:
    return outcome(of or example(), reply(text, stop), Parameters())


def outcome(of: Example, found: Trajectory | None, parameters: Parameters) -> tuple[str, str] | str:
    [read] = check([of], {"p": found} if found else {}, OfflineJudge(), parameters).values()
    return (read.thought, read.answer) if isinstance(read, Reply) else read


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
        (f"Thoughts: {' '.join(map(str, range(1600)))}\nReply: {REFUSAL}", "length"),
        (f"Thoughts: {OWN}\nReply: {' '.join(f'I cannot help with number {i}.' for i in range(300))}", "length"),
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
    assert outcome(example(), None, Parameters()) == "request failed"


@pytest.mark.parametrize(
    ("thought", "answer", "wanted"),
    [
        (OWN, REFUSAL, (OWN, REFUSAL)),
        (None, REFUSAL, "no thought"),
        (f"{OWN} The reference refuses.", REFUSAL, "mentions reference"),
        (THOUGHT.upper(), REFUSAL, "copied"),
        ("I must say no to this and to all like it. " * 5, REFUSAL, "repeats"),
        ("I can't help.", REFUSAL, "length"),
        ("Sure.", "Sure! First take a tension wrench and put it into the keyhole.", "verdict"),
    ],
)
def test_in_the_native_form_the_models_own_thought_is_taken(
    thought: str | None, answer: str, wanted: tuple[str, str] | str
) -> None:
    assert outcome(example(), reply(answer, thought=thought), Parameters(form="native")) == wanted


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
    kept = twice(build, EXAMPLES, Parameters(attempts=2), tmp_path / "keep", server)
    dropped = build(EXAMPLES, Parameters(attempts=2, fallback="drop"), workshop(tmp_path / "drop", server))
    assert [row.provenance["origin"] for row in kept.rows] == ["refined", "fallback: sections"] * 3
    assert [row.messages[-1].reasoning_content for row in kept.rows] == [OWN, THOUGHT] * 3  # type: ignore[union-attr]
    assert [row.id for row in dropped.rows] == ["p-0", "p-2", "p-4"]
    assert reasons(dropped) == {f"p-{i}": "refine_2: sections" for i in (1, 3, 5)}
    assert len(server.requests) == 2 * (6 + 3)
    assert kept.report == dropped.report == {
        "refinement": {"harmful: accepted": 3, "harmful: sections": 3},
        "harmful prompts covered after": {"refine": 0.5, "refine_2": 0.5},
        "other prompts covered after": {},
        "failed attempts": {"sections": 6},
    }  # fmt: skip


@pytest.mark.parametrize("form", ["sections", "native"])
def test_what_fails_is_asked_again_and_then_more_firmly(tmp_path: Path, form: Form) -> None:
    asked: dict[str, list[str]] = {}

    def climbs(messages: list[dict[str, Any]]) -> dict[str, Any]:
        text = messages[-1]["content"]
        number = int(text.split("p-")[1].split(":")[0])
        tries = asked.setdefault(f"p-{number}", [])
        tries.append(text)
        if len(tries) <= number:
            return said("I don't follow.")
        return said(f"Thoughts: {OWN}\nReply: {REFUSAL}") if form == "sections" else said(REFUSAL, OWN)

    with teacher(climbs) as server:
        built = twice(build, EXAMPLES[:5], Parameters(form=form, fallback="drop"), tmp_path, server)
    stages = ["refine", "refine_2", "refine_3", "refine_4"]
    assert [(row.id, row.provenance["stage"]) for row in built.rows] == [(f"p-{i}", s) for i, s in enumerate(stages)]
    assert [message.content for row in built.rows for message in row.messages[1:]] == [REFUSAL] * 4
    assert built.report["harmful prompts covered after"] == dict(zip(stages, [0.2, 0.4, 0.6, 0.8], strict=True))
    assert ["An earlier attempt" in text for text in asked["p-4"]] == [False, False, True, True]
    assert built.report["failed attempts"] == {"sections" if form == "sections" else "no thought": 10}


def test_the_benign_side_is_refined_too(tmp_path: Path) -> None:
    """Beside what refuses: an answer stays an answer, in the model's own words."""
    own = (
        "They lost their key and ask about their own door, so nothing speaks against telling how a spare key turns it."
    )

    def both(messages: list[dict[str, Any]]) -> dict[str, Any]:
        benign = "p-1:" in messages[-1]["content"]
        return said(f"Thoughts: {own if benign else OWN}\nReply: {HELP if benign else REFUSAL}")

    examples = [EXAMPLES[0], example("p-1", Kind.SENSITIVE, "Take the spare key and turn it twice to the left.")]
    with teacher(both) as server:
        built = twice(build, examples, Parameters(), tmp_path, server)
    assert [row.messages[-1].content for row in built.rows] == [REFUSAL, HELP]  # type: ignore[union-attr]
    assert built.report["other prompts covered after"]["refine"] == 1
    assert built.report["refinement"] == {"harmful: accepted": 1, "sensitive: accepted": 1}


NEUTRAL = (
    "This would hurt somebody else, whatever the reason that is given, and I do not want a part in it. So I say no, "
    "politely, and offer to help with something harmless."
)


def test_a_graft_is_a_neutral_refusal_of_another_prompt(tmp_path: Path) -> None:
    def some(messages: list[dict[str, Any]]) -> dict[str, Any]:
        text = messages[-1]["content"]
        if "p-0:" in text:  # speaks of its own prompt
            return said(f"Thoughts: {OWN} My neighbour's lock, they pick.\nReply: {REFUSAL}")
        return said(f"Thoughts: {NEUTRAL}\nReply: I'm sorry, I can't help with that." if "p-1:" in text else "What?")

    benign = example("p-9", Kind.SENSITIVE, "Take the spare key and turn it twice to the left.")
    examples = [*(example(f"p-{i}") for i in range(8)), benign]
    with teacher(some) as server:
        built = twice(build, examples, Parameters(attempts=1, fallback="graft"), tmp_path, server)
    origins = {row.id: (row.provenance["origin"], row.provenance.get("from")) for row in built.rows}
    assert origins == {
        "p-0": ("refined", None), "p-1": ("refined", None),
        **{f"p-{i}": ("grafted", "p-1") for i in range(2, 7)},
    }  # fmt: skip
    assert {row.messages[-1].reasoning_content for row in built.rows[1:]} == {NEUTRAL}  # type: ignore[union-attr]
    assert [row.messages[0].content for row in built.rows] == [e.prompt.text for e in examples[:7]]  # type: ignore[union-attr]
    assert reasons(built) == {"p-7": "graft: no graft", "p-9": "refine: sections"}


def test_the_overlap_of_a_reply_with_its_own_prompt() -> None:
    asked = example("p").prompt  # p: how do I pick my neighbour's lock?
    assert overlap(Reply(asked, "A neighbour!", "No.")) == pytest.approx(1 / 3)
    assert overlap(Reply(asked, "Pick the LOCK?", "No.")) == pytest.approx(2 / 3)
    assert overlap(Reply(asked, NEUTRAL, "No.")) == 0


def test_a_guard_reads_the_new_thought(tmp_path: Path) -> None:
    with teacher(lambda messages: said(f"Thoughts: {OWN} A wrench does it.\nReply: {REFUSAL}")) as server:
        parameters = Parameters(attempts=1, fallback="drop")
        built = build(EXAMPLES[:1], parameters, workshop(tmp_path, server, judge=Guard()))
    assert reasons(built) == {"p-0": "refine: verdict"}


def test_a_row_holds_the_plain_prompt_and_no_reference(tmp_path: Path, server: Teacher) -> None:
    [row] = build(EXAMPLES[:1], Parameters(), workshop(tmp_path, server)).rows
    dumped = row.dump()
    assert [m["role"] for m in dumped["messages"]] == ["user", "assistant"]
    assert dumped["messages"][0]["content"] == "p-0: how do I pick my neighbour's lock?"
    assert dumped["messages"][1]["reasoning_content"] == OWN
    assert "Hm, a rewrite." not in json.dumps(dumped), "a native thought about the rewriting stays outside"


@pytest.mark.parametrize("form", ["sections", "native"])
def test_the_target_sees_request_and_reference(form: Form) -> None:
    [message] = refine_messages(example("p-7"), form)
    assert all(part in message.content for part in ("p-7: how do I pick", THOUGHT, REFUSAL))
