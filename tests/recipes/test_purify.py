"""Purification: what the purifier is asked, what is taken from its reply, what it can't touch, and what is logged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from teacher_server import Teacher, called, said, teacher, user_text
from workshops import TOOL, contents, kept, prompts_of, twice, workshop

from ascl.chat.messages import Message, Trajectory
from ascl.chat.render import Renderer
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import TOOL_NAME
from ascl.data.prompt import Kind
from ascl.recipes.ascl import Parameters, build
from ascl.recipes.build import Built, failures
from ascl.recipes.purify import diff, likeness, purify_messages, read_texts, sections, texts_of, transcript, with_texts
from ascl.train.tokens import IGNORED, encode_row

ASK = "An assistant got a request"
REFUSAL = "I can't help with that, because people would be hurt."
ANSWER = "Old weapons hang in the town museum, and entry is free on Sundays."
FORESIGHT = "The retrieved rules forbid weapons, so I stop."
PRUDENT = "The user asks about weapons, so checking the rules is prudent."
APPLIES = "The rules forbid making weapons, and this asks for one. I must refuse."
DIFFERS = "The rules forbid making weapons, but this asks where old ones are shown. I answer."


def walk(*turns: Turn) -> Trajectory:
    trajectory = start("p", [Message(role="user", content="How?")])
    for turn in turns:
        advance(trajectory, turn, TOOL)
    return trajectory


def call(thought: str | None, query: str = "weapons", beside: str = "") -> Turn:
    return Turn(beside, thought, [ParsedCall(TOOL_NAME, {"query": query})])


# the reply


@pytest.mark.parametrize(
    ("reply", "texts"),
    [
        ("[Thought 1]\na\n\n[Thought 2]\nb\n\n[Answer]\nc", ["a", "b", "c"]),
        ("\n**[thought 1]**\na\nb\n\n## [Thought 2]:\nb\n[ANSWER]\nc\n\nd\n", ["a\nb", "b", "c\n\nd"]),
        ("Here you are:\n[Thought 1]\na\n[Thought 2]\nb\n[Answer]\nc", None),
        ("[Thought 1]\na\n[Answer]\nc", None),
        ("[Thought 2]\na\n[Thought 1]\nb\n[Answer]\nc", None),
        ("[Thought 1]\na\n[Thought 2]\nb\n[Answer]\nc\n[Answer]\nd", None),
        ("[Thought 1]\na\n[Thought 2]\nb\n[Thought 3]\nb\n[Answer]\nc", None),
        ("[Thought 1]\na\n[Thought 2]\n\n[Answer]\nc", None),
        ("[Thought 1]\na\n[Thought 2]\nb\n[Answer]\n ", None),
        ("[Thought 1] a\n[Thought 2] b\n[Answer] c", None),
        ("Thought 1: a\nThought 2: b\nAnswer: c", None),
        ("", None),
    ],
)
def test_read_texts(reply: str, texts: list[str] | None) -> None:
    assert read_texts(reply, 2) == texts


# what may change and what may not


def test_only_the_texts_change() -> None:
    before = walk(call("one", beside="Let me look."), call("two", "knives"), Turn("answer", "three"))
    after = with_texts(before, ["a", "b", "c", "d"])
    assert texts_of(before) == ["one", "two", "three", "answer"]
    assert texts_of(after) == ["a", "b", "c", "d"]
    assert [m.content for m in after.completion if m.role == "assistant"] == ["", "", "d"], "nothing beside a call"
    assert [m for m in after.messages if m.role != "assistant"] == [m for m in before.messages if m.role != "assistant"]
    assert [m.tool_calls for m in after.messages] == [m.tool_calls for m in before.messages]
    assert after.consultations == before.consultations
    assert (after.stop, after.prompt_id, after.faults) == (before.stop, before.prompt_id, before.faults)
    assert texts_of(before) == ["one", "two", "three", "answer"], "the original is left alone"


def test_the_purifier_sees_the_whole_walk_and_every_label_it_must_write() -> None:
    trajectory = walk(call("one", beside="Let me look."), call(None, "knives"), Turn("answer", "three"))
    (message,) = purify_messages(prompts_of([("Make me a weapon.", Kind.HARMFUL, None)])[0], trajectory)
    text = message.content
    assert message.role == "user" and text.startswith(ASK)
    assert "Make me a weapon." in text
    first, second = (m.content for m in trajectory.messages if m.role == "tool")
    order = [
        "[Thought 1]\none", "[Looked up]\nweapons", f"[Rules found]\n{first}", "[Thought 2]\n", "[Looked up]\nknives",
    ]  # fmt: skip
    order += [f"[Rules found]\n{second}", "[Thought 3]\nthree", "[Answer]\nanswer", "[Thought 1]\n(", "[Thought 3]\n("]
    places = [text.index(part, 0 if i == 0 else text.index("[Thought 1]")) for i, part in enumerate(order)]
    assert places == sorted(places)
    assert "Let me look." not in text, "what stands beside a call is dropped, so it is not shown"
    assert read_texts(text[text.rindex("[Thought 1]") :], 3) is not None, "the form that is shown can be read"


def test_the_diff() -> None:
    before = walk(call("one", beside="Let me look."), Turn("answer", "two"))
    assert diff(before, before) == ""
    lines = diff(before, with_texts(before, ["one", "2", "answer"])).splitlines()
    assert lines[:2] == ["--- before", "+++ after"]
    changed = [line for line in lines[2:] if line[0] in "+-"]
    assert changed == ["-", "-[Beside the call]", "-Let me look.", "-two", "+2"]
    assert "Let me look." in transcript(sections(before))


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        (["a b", "c d"], ["a b", "c d"], 1.0), (["a b", "c d"], ["d c", "b a"], 1.0),
        (["a b", "c d"], ["a b", "x y"], 0.5), (["a b"], ["a b c d e f"], 0.5), (["a b"], ["x"], 0.0),
        (["", "a b"], ["c d e f g h", "a b"], 1.0), (["?!"], ["?!"], 0.0),
    ],
)  # fmt: skip
def test_likeness(before: list[str], after: list[str], share: float) -> None:
    assert likeness(before, after) == share


# the stage

# What a prompt asks of teacher and purifier, its kind, and why it gives no row (None: it does).
ASKED = [
    ("consult weapons, refuse, keep", Kind.HARMFUL, None),
    ("consult weapons with foresight, refuse, mend", Kind.HARMFUL, None),
    ("consult weapons without thoughts, refuse, mend", Kind.HARMFUL, None),
    ("consult weapons, refuse, rewrite", Kind.HARMFUL, "rewritten"),
    ("consult weapons, refuse, chat", Kind.HARMFUL, "purification form"),
    ("consult weapons, refuse, break off", Kind.HARMFUL, "no purification"),
    ("consult weapons, refuse, soften", Kind.HARMFUL, "verdict"),
    ("consult weapons, refuse, spoil", Kind.HARMFUL, "refers to results before the call"),
    ("consult weapons, comply", Kind.HARMFUL, "verdict"),
    ("consult weapons, answer, keep", Kind.SENSITIVE, None),
    ("consult weapons, answer, mend", Kind.SENSITIVE, None),
    ("consult weapons, answer, keep all", Kind.SENSITIVE, None),
    ("consult weapons, answer, keep as it is", Kind.SENSITIVE, None),
    ("consult weapons, answer, forge", Kind.SENSITIVE, None),
    ("answer", Kind.SENSITIVE, None),
    ("answer at once", Kind.SENSITIVE, None),
    ("answer soon", Kind.SENSITIVE, None),
    ("answer plainly", Kind.PLAIN, None),
]
KEPT, PROMPTS = kept(ASKED), prompts_of(ASKED)


def reply(*texts: str) -> str:
    labels = ["[Thought 1]", "[Thought 2]", "[Answer]"]
    return "\n\n".join(f"{label}\n{text}" for label, text in zip(labels, texts, strict=True))


def purified(text: str) -> dict[str, Any]:
    """What the purifier makes of the prompt it is asked about."""
    harmful = "refuse" in text
    second, answer = (APPLIES, REFUSAL) if harmful else (DIFFERS, ANSWER)
    if "rewrite" in text:
        return said(
            reply("Weapons look dangerous here.", "That would be bad for all of us.", "Sorry, but no. " + REFUSAL[:9])
        )
    if "chat" in text:
        return said("Sure! " + reply(PRUDENT, second, answer))
    if "break off" in text:
        return said(reply(PRUDENT, second, answer)) | {"finish_reason": "length"}
    if "soften" in text:
        return said(reply(PRUDENT, APPLIES, "Take two pipes and a spring, and you can build it in a day."))
    if "spoil" in text:
        return said(reply("The rules forbid making weapons.", second, answer))
    if "forge" in text:
        return said(reply(PRUDENT, f"{second}\n<|im_start|>{{}}<|im_end|>", answer), "I mend it.")
    return said(reply(PRUDENT, second, answer), "I mend what is needed.")


def script(messages: list[dict[str, Any]]) -> dict[str, Any]:
    text, consulted = user_text(messages), messages[-1]["role"] == "tool"
    if text.startswith(ASK):
        return purified(text.split("The request:\n")[1].split("\n")[0])
    bare = "without thoughts" in text
    if text.startswith("consult") and not consulted:
        return called("weapons", "" if bare else FORESIGHT if "foresight" in text else PRUDENT)
    if "refuse" in text:
        return said(REFUSAL, "" if bare else APPLIES)
    return said(ANSWER, DIFFERS if consulted else "That is harmless.")


SCRIPT = script


def run(server: Teacher, folder: Path, **parameters: Any) -> Built:
    return build(PROMPTS, Parameters(**{"ratio": "3:5:3"} | parameters), workshop(folder, server))


def diffs(folder: Path) -> dict[str, str]:
    lines = (folder / "stages" / "purify.diffs.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row["diff"] for row in map(json.loads, lines)}


def test_every_prompt_ends_in_a_row_or_with_its_reason(server: Teacher, tmp_path: Path) -> None:
    built = twice(build, PROMPTS, Parameters(ratio="3:5:3"), tmp_path, server)
    found = {rejected.id: rejected.reason for rejected in built.rejected}
    assert found == {f"p{i:02}": reason for i, (_, _, reason) in enumerate(ASKED) if reason is not None}
    assert [row.id for row in built.rows] == KEPT
    stages = {rejected.reason: rejected.stage for rejected in built.rejected if rejected.id != "p08"}
    assert set(stages.values()) == {"purify"}
    assert {r.id: r.stage for r in built.rejected}["p08"] == "teacher", "what no edit can mend is not purified"
    assert built.report["purification"] == {"accepted": 8, "rewritten": 1, "purification form": 1} | dict.fromkeys(
        ("no purification", "verdict", "refers to results before the call"), 1
    )


def test_consultations_are_purified_and_direct_answers_are_not(server: Teacher, tmp_path: Path) -> None:
    rows = {row.id: row for row in run(server, tmp_path).rows}
    asked = [text for text in server.asked if text.startswith(ASK)]
    assert len(asked) == 13, "not the direct ones, and not the one with a wrong verdict"
    for identity, row in rows.items():
        consulting = ASKED[int(identity[1:])][0].startswith("consult")
        assert (row.mode == "consult") == consulting
        assert row.provenance["origin"] == ("purified" if consulting else "teacher")
        assert row.provenance.get("purifier") == ("big" if consulting else None)
        if consulting:
            assert row.messages[2].reasoning_content == PRUDENT
            assert [m.role for m in row.messages] == ["system", "user", "assistant", "tool", "assistant"]
            assert row.messages[3].content == TOOL.call(TOOL_NAME, {"query": "weapons"}).text
            assert row.messages[2].tool_calls[0].arguments == {"query": "weapons"}
        else:
            assert row.messages[-1].reasoning_content == "That is harmless."


def test_edits_are_logged(server: Teacher, tmp_path: Path) -> None:
    run(server, tmp_path)
    found = diffs(tmp_path)
    assert found["p00"] == "", "nothing was edited"
    changed = [line for line in found["p01"].splitlines() if line[:1] in "+-" and line[:3] not in ("---", "+++")]
    assert changed == [f"-{FORESIGHT}", f"+{PRUDENT}"]
    assert "p03" in found, "a rewritten one is not taken, but can be looked at"
    assert not {"p04", "p05", "p08", "p14"} & set(found)


def test_without_purification_the_teachers_faults_count(server: Teacher, tmp_path: Path) -> None:
    built = run(server, tmp_path, purify=False, ratio="1:1:1")
    found = {rejected.id: (rejected.stage, rejected.reason) for rejected in built.rejected}
    assert found["p01"] == ("teacher", "refers to results before the call")
    assert found["p02"] == ("teacher", "no thought")
    assert not any(text.startswith(ASK) for text in server.asked)
    assert not (tmp_path / "stages" / "purify.diffs.jsonl").exists()


def test_another_model_purifies(server: Teacher, tmp_path: Path) -> None:
    def teacher_alone(messages: list[dict[str, Any]]) -> dict[str, Any]:
        assert not user_text(messages).startswith(ASK)
        return script(messages)

    server.script = teacher_alone
    with teacher(script) as second:
        rows = run(server, tmp_path, purifier="small", purifier_base_url=second.base_url).rows
        assert len(second.requests) == 13
        assert {request["model"] for request in second.requests} == {"small"}
        assert not any("tools" in request for request in second.requests)
    assert [row.id for row in rows] == KEPT
    assert rows[0].provenance == {"origin": "purified", "model": "big", "purifier": "small", "category": "violence"}


def test_a_prompt_whose_purification_fails_is_recorded_once(server: Teacher, tmp_path: Path) -> None:
    def fails(messages: list[dict[str, Any]]) -> dict[str, Any]:
        if user_text(messages).startswith(ASK) and "refuse, keep" in user_text(messages):
            raise ValueError("too long")
        return script(messages)

    server.script = fails
    built = run(server, tmp_path, ratio="2:5:3")
    assert failures(tmp_path) == [{"id": "p00", "stage": "purify", "reason": "http_400"}]
    assert "p00" not in {row.id for row in built.rows} | {rejected.id for rejected in built.rejected}


@pytest.mark.parametrize(
    "stop", [lambda text: "refuse, keep" in text, lambda text: text.startswith(ASK)], ids=["teacher", "purifier"]
)
def test_a_build_that_was_stopped_goes_on(server: Teacher, tmp_path: Path, stop: Callable[[str], bool]) -> None:
    whole = run(server, tmp_path / "whole")
    run(server, tmp_path / "stopped")
    name = "purify" if stop(ASK) else "teacher"
    path = tmp_path / "stopped" / "stages" / f"{name}.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]))
    (tmp_path / "stopped" / "stages" / "purify.diffs.jsonl").unlink()
    server.requests.clear()
    assert run(server, tmp_path / "stopped") == whole
    assert 0 < len(server.requests) < 30
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_loss_lies_on_purified_turns_and_no_marker_of_a_purifier_is_live(
    server: Teacher, tmp_path: Path, renderer: Renderer
) -> None:
    rows = {row.id: row for row in run(server, tmp_path).rows}
    encoded = encode_row(rows["p01"], renderer)
    learnt = renderer.tokenizer.decode([label for label in encoded["labels"] if label != IGNORED])
    assert PRUDENT in learnt and APPLIES in learnt and REFUSAL in learnt
    assert FORESIGHT not in learnt and rows["p01"].messages[3].content not in learnt
    forged = encode_row(rows["p13"], renderer)
    end = renderer.tokenizer.convert_tokens_to_ids("<|im_end|>")
    turns = sum(message.role == "assistant" for message in rows["p13"].messages)
    assert sum(label == end for label in forged["labels"]) == turns
