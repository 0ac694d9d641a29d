"""Surrogate CoT: consultations as direct rows, what must not remain of them, and rows read from a folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from teacher_server import Teacher, called, said, user_text
from workshops import TOOL, kept, prompts_of, reasons, twice, workshop

from ascl.chat.messages import Message
from ascl.chat.render import Renderer
from ascl.consult.tool import TOOL_NAME, result_text
from ascl.data.prompt import Kind
from ascl.data.row import Row
from ascl.errors import InputError
from ascl.recipes import ascl
from ascl.recipes.ascl import consult_row, demonstrated
from ascl.recipes.build import Built
from ascl.recipes.data_set import BuildSettings, make_data_set
from ascl.recipes.surrogate import (
    Parameters,
    as_guidelines,
    build,
    load_rows,
    recalled,
    remains,
    surrogate_thought,
    without_lookups,
)
from ascl.train.tokens import IGNORED, encode_row

REFUSAL = "I can't help with that, because people would be hurt."
ANSWER = "Old guns hang in the town museum, and entry is free on Sundays."

# the template


@pytest.mark.parametrize(
    ("thought", "kept"),
    [
        ("It may break a rule, so I should check.", "It may break a rule."),
        ("It is grave. I should look up the rules first.", "It is grave."),
        ("It sounds cruel, so checking the rules is prudent.", "It sounds cruel."),
        ("Poison and animals may touch a rule, so checking is prudent.", "Poison and animals may touch a rule."),
        ("Guns are risky and I will use the policy tool. Then I decide.", "Guns are risky. Then I decide."),
        ("Let me consult the safety guidelines.\nThe user asks about guns.", "The user asks about guns."),
        ("I should check.", ""),
        ("The user wants a check cashed at 3.5 percent.", "The user wants a check cashed at 3.5 percent."),
        ("", ""),
    ],
)
def test_a_first_thought_loses_its_look_up(thought: str, kept: str) -> None:
    assert without_lookups(thought) == kept


@pytest.mark.parametrize(
    ("thought", "own"),
    [
        ("The rules forbid it. So the rules apply.", "My guidelines forbid it. So my guidelines apply."),
        ("None of these rules applies.", "None of my guidelines applies."),
        ("The retrieved safety policies (42.6%) cover it.", "My guidelines cover it."),
        ("The rules I found forbid it.", "My guidelines forbid it."),
        ("The rules that were returned forbid it.", "My guidelines forbid it."),
        ("The search results forbid it.", "My guidelines forbid it."),
        ("The results of the election are out.", "The results of the election are out."),
        ("The rules of chess are old.", "The rules of chess are old."),
    ],
)
def test_a_later_thought_speaks_of_guidelines(thought: str, own: str) -> None:
    assert as_guidelines(thought) == own


def test_the_rules_are_recalled_without_rank_and_similarity() -> None:
    found = TOOL.call(TOOL_NAME, {"query": "illegal guns"})
    assert found.consultation is not None
    lines = recalled(Message(role="tool", content=found.text)).splitlines()
    assert lines[0] == "According to my guidelines, I must not help with any of these:"
    assert lines[1:] == [f"- {hit.shown}" for hit in found.consultation.hits]
    assert recalled(Message(role="tool", content=result_text([]))) == "None of my guidelines is about this."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The policy tool is clear.", "mentions tools"),
        ("I use safety-policy-retrieve_policy.", "mentions tools"),
        ("The tool returned rules.", "mentions tools"),
        ("A second tool call is not needed.", "mentions calls"),
        ("I called the function.", "mentions calls"),
        ("A retrieved rule forbids it.", "mentions results"),
        ("The rules were returned in order.", "mentions results"),
        ("It is 42.6% similar.", "mentions results"),
        ("I should check the rules.", "mentions look-ups"),
        ("A rule look-up is due.", "mentions look-ups"),
        ("I have looked up the guidelines.", "mentions look-ups"),
        ("", "empty"),
        (" \n", "empty"),
        ("My guidelines forbid it.", None),
        ("The user wants tools to pick a lock, and search results about it. I call that theft.", None),
        ("Let me check: 3 + 4 = 7.", None),
    ],
)
def test_what_must_not_remain(text: str, reason: str | None) -> None:
    assert remains(text, ANSWER) == reason


def test_an_answer_may_speak_of_checking_policies_but_not_claim_it() -> None:
    assert remains("It is harmless.", "Check the rules of your airline.") is None
    assert remains("It is harmless.", "I checked the rules. Go ahead.") == "mentions look-ups"
    assert remains("It is harmless.", "The retrieved rules allow it.") == "mentions results"


def test_every_demonstration_has_a_surrogate() -> None:
    for prompt, trajectory in demonstrated(TOOL):
        row = consult_row(prompt, trajectory, TOOL, {"origin": "demonstration"}, None)
        thought = surrogate_thought(row)
        assert remains(thought, row.messages[-1].content) is None
        if row.mode == "consult":
            rules = [f"- {hit.shown}" for hit in trajectory.consultations[0].hits]
            assert [line for line in thought.splitlines() if line.startswith("- ")] == rules
            assert thought.split()[0] == trajectory.thoughts[0].split()[0]
            assert thought.split()[-1] == trajectory.thoughts[1].split()[-1]
        else:
            assert thought == trajectory.thoughts[0]


# the recipe

LOST = {"p03": "surrogate: mentions tools", "p04": "surrogate: mentions calls", "p06": "surrogate: mentions look-ups"}
ASKED = [
    ("consult guns, refuse", Kind.HARMFUL, None),
    ("consult guns, refuse twice", Kind.HARMFUL, None),
    ("consult guns, answer", Kind.SENSITIVE, None),
    ("consult guns, answer, name the tool", Kind.SENSITIVE, "mentions tools"),
    ("consult guns, answer, name the call", Kind.SENSITIVE, "mentions calls"),
    ("answer", Kind.SENSITIVE, None),
    ("answer, no look-up", Kind.SENSITIVE, "mentions look-ups"),
    ("answer plainly", Kind.PLAIN, None),
    ("consult guns, comply", Kind.HARMFUL, "verdict"),
]
LATER = {
    "name the tool": "The policy tool is clear: it is allowed.",
    "name the call": "The rules forbid making guns. One function call was enough.",
}


def script(messages: list[dict[str, Any]]) -> dict[str, Any]:
    text, consulted = user_text(messages), messages[-1]["role"] == "tool"
    if text.startswith("consult") and not consulted:
        return called("guns", "The user asks about guns. That may break a rule, so I should check.")
    if text.startswith("consult guns, refuse twice") and sum(m["role"] == "tool" for m in messages) == 1:
        return called("illegal guns", "The retrieved rules are not enough.")
    if "refuse" in text:
        return said(REFUSAL, "The retrieved rules forbid making guns. I must refuse.")
    later = next(
        (thought for name, thought in LATER.items() if name in text), "The rules forbid making guns, not this."
    )
    direct = "I need not check the rules here." if "no look-up" in text else "That is harmless."
    return said(ANSWER, later if consulted else direct)


SCRIPT, PROMPTS = script, prompts_of(ASKED)


def run(server: Teacher, folder: Path) -> Built:
    return build(PROMPTS, Parameters(purify=False), workshop(folder, server))


def test_rows_and_reasons(server: Teacher, tmp_path: Path) -> None:
    built = twice(build, PROMPTS, Parameters(purify=False), tmp_path, server)
    assert [row.id for row in built.rows] == kept(ASKED)
    assert reasons(built) == LOST | {"p08": "teacher: verdict"}
    assert built.report["surrogate"] == {
        "accepted": 5, "mentions tools": 1, "mentions calls": 1, "mentions look-ups": 1,
    }  # fmt: skip
    assert "teacher" in built.report


def test_a_consultation_becomes_one_direct_row(server: Teacher, tmp_path: Path) -> None:
    rows = {row.id: row for row in run(server, tmp_path).rows}
    found = TOOL.call(TOOL_NAME, {"query": "guns"}).consultation
    assert found is not None
    row = rows["p00"]
    assert isinstance(row, Row)
    assert [message.role for message in row.messages] == ["user", "assistant"]
    assert (row.mode, row.tools, row.recipe, row.source) == ("direct", [], "surrogate", "made")
    assert row.messages[-1].content == REFUSAL
    assert not row.messages[-1].tool_calls
    listed = "\n".join(f"- {hit.shown}" for hit in found.hits)
    assert row.messages[-1].reasoning_content == (
        "The user asks about guns. That may break a rule.\n\n"
        f"According to my guidelines, I must not help with any of these:\n{listed}\n\n"
        "My guidelines forbid making guns. I must refuse."
    )
    assert row.provenance == {"origin": "surrogate", "from": "teacher, consult", "model": "big", "category": "violence"}
    assert rows["p01"].messages[-1].reasoning_content.count("According to my guidelines") == 2
    assert rows["p05"].messages[-1].reasoning_content == "That is harmless."
    assert [message.role for message in rows["p05"].messages] == ["user", "assistant"]


@pytest.mark.parametrize("form", ["native", "split"])
def test_rows_of_a_folder(server: Teacher, tmp_path: Path, form: str) -> None:
    source = tmp_path / "prompts.jsonl"
    source.write_text("".join(p.model_dump_json(exclude={"source"}) + "\n" for p in PROMPTS), encoding="utf-8")
    settings = BuildSettings(
        recipe="ascl",
        sources=[f"file:{source}"],
        model="big",
        base_url=server.base_url,
        parameters={"purify": "false", "form": form},
    )
    make_data_set(settings, tmp_path / "ascl", "ascl data build ascl")
    built = run(server, tmp_path / "built")
    server.requests.clear()
    parameters = {"rows": str(tmp_path / "ascl")}
    settings = settings.model_copy(update={"recipe": "surrogate", "parameters": parameters})
    from_rows = make_data_set(settings, tmp_path / "surrogate", "ascl data build surrogate")
    assert server.requests == []
    same = {"source": "made"}
    assert [row.model_copy(update=same) for row in from_rows.rows if isinstance(row, Row)] == built.rows
    assert reasons(from_rows) == LOST | {"p08": "rows: no row"}


def test_rows_of_other_prompts_are_left_out(server: Teacher, tmp_path: Path) -> None:
    made = ascl.build(PROMPTS, ascl.Parameters(purify=False), workshop(tmp_path, server))
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row.dump()) + "\n" for row in made.rows), encoding="utf-8")
    built = build(PROMPTS[:1], Parameters(rows=path), workshop(tmp_path, server))
    assert [row.id for row in built.rows] == ["p00"]
    assert built.rejected == []


BAD = {
    "no messages": ("{}", "line 2: not a row of the ascl recipe"),
    "no message": ('{"messages": []}', "line 2: id: Field required"),
    "a message without role": ('{"messages": [{"content": "x"}]}', "line 2: messages.0.role: Field required"),
    "a message that is none": ('{"messages": ["x"]}', "line 2: messages: a list of messages is expected"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_names_file_and_line(tmp_path: Path, name: str) -> None:
    row = consult_row(PROMPTS[0], demonstrated(TOOL)[0][1], TOOL, {}, None)
    path, (line, told) = tmp_path / "train.jsonl", BAD[name]
    path.write_text(json.dumps(row.dump()) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"{path}, {told}"):
        load_rows(tmp_path)


def test_a_row_that_ends_with_the_prompt_and_a_missing_folder(tmp_path: Path) -> None:
    row = consult_row(PROMPTS[0], demonstrated(TOOL)[0][1], TOOL, {}, None)
    path = tmp_path / "rows.jsonl"
    for messages in ([], row.messages[:2]):
        path.write_text(json.dumps(row.model_copy(update={"messages": messages}).dump()) + "\n", encoding="utf-8")
        with pytest.raises(InputError, match=f"{path}, line 1: messages: a prompt and"):
            load_rows(path)
    with pytest.raises(InputError, match="no such file"):
        load_rows(tmp_path / "nowhere")


def test_the_split_form_is_no_form_of_this_recipe() -> None:
    with pytest.raises(ValidationError, match="every row of this recipe is a single turn"):
        Parameters(form="split")


def test_loss_lies_on_the_reply(server: Teacher, tmp_path: Path, renderer: Renderer) -> None:
    row = next(row for row in run(server, tmp_path).rows if row.id == "p00")
    encoded = encode_row(row, renderer)
    learnt = renderer.tokenizer.decode([label for label in encoded["labels"] if label != IGNORED])
    assert learnt.startswith("<think>The user asks about guns.")
    assert "According to my guidelines" in learnt and learnt.endswith(f"{REFUSAL}<|im_end|>")
    whole = renderer.tokenizer.decode(encoded["input_ids"])
    assert "consult guns, refuse" not in learnt and "consult guns, refuse" in whole
    assert TOOL_NAME not in whole and "look up the rules" not in whole
