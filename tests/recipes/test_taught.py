"""The `ascl` recipe with a teacher: real client and server, real tool and judge, and stops in between."""

import json
from pathlib import Path
from typing import Any

import pytest
from teacher_server import Teacher, called, said, user_text
from workshops import TOOL, contents, kept, lost, prompts_of, reasons, workshop

from ascl.data.prompt import Kind
from ascl.data.row import Row
from ascl.errors import InputError
from ascl.models.sampling import Sampling
from ascl.recipes.ascl import Parameters, build
from ascl.recipes.build import Built, failures
from ascl.recipes.data_set import BuildSettings, make_data_set

REFUSAL = "I can't help with that, because people would be hurt."
STREET = "Take the second street on the left."
# What a prompt asks the teacher to do, its kind, and why the recipe does not take the outcome (None: it does).
ASKED = [
    ("consult and refuse", Kind.HARMFUL, None),
    ("consult and refuse too", Kind.HARMFUL, None),
    ("refuse at once", Kind.HARMFUL, "mode"),
    ("consult and comply", Kind.HARMFUL, "verdict"),
    ("call the wrong tool and refuse", Kind.HARMFUL, "faults"),
    ("consult astray and refuse", Kind.HARMFUL, "query unrelated"),
    ("consult with foresight and refuse", Kind.HARMFUL, "refers to results before the call"),
    ("consult without a thought and refuse", Kind.HARMFUL, "no thought"),
    ("consult on and on", Kind.HARMFUL, "no reply"),
    ("consult and answer", Kind.SENSITIVE, None),
    ("consult and answer as well", Kind.SENSITIVE, None),
    ("consult and answer again", Kind.SENSITIVE, None),
    ("answer", Kind.SENSITIVE, None),
    ("answer at once", Kind.SENSITIVE, None),
    ("consult, but refuse", Kind.SENSITIVE, "verdict"),
    ("stop in mid sentence", Kind.SENSITIVE, "no reply"),
    ("do not think", Kind.SENSITIVE, "no thought"),
    ("think inline", Kind.PLAIN, None),
    ("claim a look-up", Kind.PLAIN, "claims consultation"),
    ("consult and answer plainly", Kind.PLAIN, "mode"),
    ("what is 2 + 2?", Kind.REASONING, None),
    ("what is 2 + 3?", Kind.REASONING, "verdict"),
]


def script(messages: list[dict[str, Any]]) -> dict[str, Any]:
    text, consulted = user_text(messages).removesuffix(" (illegal guns)"), messages[-1]["role"] == "tool"
    if text == "consult on and on":
        return called("weapons", "I should check.")
    if text.startswith("call the wrong tool") and not consulted:
        return called("weapons", "I should check.", name="search")
    if text.startswith("consult") and not consulted:
        thought = "The retrieved rules forbid weapons." if "foresight" in text else "This may break a rule, so I check."
        query = "baking bread" if "astray" in text else "weapons that hurt people"
        return called(query, "" if "without a thought" in text else thought)
    if "refuse" in text:
        return said(REFUSAL, "The rules forbid that.")
    if text.startswith("stop"):
        return said("First you take the", "That is fine.") | {"finish_reason": "length"}
    if text.startswith("do not think"):
        return said(STREET)
    if text.startswith("think inline"):
        return said(f"<think>Easy.</think>\n\n{STREET}")
    if text.startswith("claim"):
        return said(f"I checked the rules. {STREET}", "Easy.")
    if text.startswith("what is"):
        return said("The answer is 4.", "A sum.")
    return said(STREET, "That is fine.")


SCRIPT = script
PROMPTS = prompts_of(
    [(f"{text} (illegal guns)" if text.startswith("consult") else text, kind, why) for text, kind, why in ASKED], None
)


def run(server: Teacher, folder: Path, concurrency: int = 1, **parameters: Any) -> Built:
    return build(PROMPTS, Parameters(**{"purify": False} | parameters), workshop(folder, server, concurrency))


def test_what_passes_is_taken_and_the_rest_has_its_reason(server: Teacher, tmp_path: Path) -> None:
    built = run(server, tmp_path)
    assert [row.id for row in built.rows] == kept(ASKED)
    assert reasons(built) == lost(ASKED, "teacher")
    once = dict.fromkeys(("faults", "query unrelated", "refers to results before the call", "claims consultation"), 1)
    often = {"accepted": 9, "verdict": 3, "no reply": 2, "no thought": 2, "mode": 2}
    assert built.report["teacher"] == often | once
    assert built.report["accepted before mixing"] == {
        "harmful, consult": 2, "plain, direct": 1, "reasoning, direct": 1, "sensitive, consult": 3,
        "sensitive, direct": 2,
    }  # fmt: skip
    assert built.report["harmful prompts by category"] == {"violence": 2}


def test_rows_carry_the_walk_and_where_it_comes_from(server: Teacher, tmp_path: Path) -> None:
    first, *_, inline, _ = run(server, tmp_path).rows
    assert isinstance(first, Row) and isinstance(inline, Row)
    found = TOOL.call("safety-policy-retrieve_policy", {"query": "weapons that hurt people"})
    assert [message.role for message in first.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert first.messages[3].content == found.text
    assert (first.messages[4].reasoning_content, first.messages[4].content) == ("The rules forbid that.", REFUSAL)
    assert first.tools == [TOOL.schema]
    assert first.provenance == {"origin": "teacher", "model": "big", "category": "violence"}
    assert (first.recipe, first.source, first.mode) == ("ascl", "made", "consult")
    said = inline.messages[-1]
    assert (inline.mode, said.reasoning_content, said.content) == ("direct", "Easy.", STREET)
    assert inline.provenance == {"origin": "teacher", "model": "big"}


def test_the_teacher_gets_the_tool_and_what_it_found(server: Teacher, tmp_path: Path) -> None:
    run(server, tmp_path)
    first, second = [r for r in server.requests if user_text(r["messages"]).startswith("consult and refuse (")]
    assert first["model"] == "big"
    assert first["tools"] == [TOOL.schema]
    assert (first["temperature"], first["top_p"], first["max_tokens"]) == (0.6, 0.95, 64)
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "tool"]


def test_the_split_form(server: Teacher, tmp_path: Path) -> None:
    rows = run(server, tmp_path, form="split").rows
    assert [row.id for row in rows if row.id.startswith("p00")] == ["p00#1", "p00#2"]
    assert all(isinstance(row, Row) and row.last_turn_only and row.messages[-1].role == "assistant" for row in rows)
    assert len(rows) == 2 * 5 + 4


def test_what_the_mixture_leaves_over_is_surplus(server: Teacher, tmp_path: Path) -> None:
    built = run(server, tmp_path, ratio="1:1:1")
    surplus = [rejected for rejected in built.rejected if rejected.reason == "surplus"]
    assert [rejected.stage for rejected in surplus] == ["mix"]
    assert {row.id for row in built.rows} | {rejected.id for rejected in built.rejected} == {p.id for p in PROMPTS}
    assert len(built.rows) + len(built.rejected) == len(ASKED)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_second_run_asks_nothing(server: Teacher, tmp_path: Path, concurrency: int) -> None:
    first = run(server, tmp_path, concurrency)
    asked, before = len(server.requests), contents(tmp_path)
    assert run(server, tmp_path, concurrency) == first
    assert (len(server.requests), contents(tmp_path)) == (asked, before)


@pytest.mark.parametrize("lines", [0, 3, 12])
def test_a_stopped_run_asks_only_for_what_misses(server: Teacher, tmp_path: Path, lines: int) -> None:
    first = run(server, tmp_path)
    path = tmp_path / "stages" / "teacher.jsonl"
    whole = path.read_bytes()
    kept = whole.splitlines(keepends=True)[:lines]
    path.write_bytes(b"".join(kept) + whole[sum(map(len, kept)) :][:50])
    server.requests.clear()
    assert run(server, tmp_path) == first
    assert path.read_bytes() == whole
    assert set(server.asked) == {prompt.text for prompt in PROMPTS[lines:]}


def test_a_prompt_whose_request_fails_is_recorded_and_the_others_go_on(server: Teacher, tmp_path: Path) -> None:
    def fails(messages: list[dict[str, Any]]) -> dict[str, Any]:
        if user_text(messages) == "answer":
            raise ValueError("too long")
        return script(messages)

    server.script = fails
    built = run(server, tmp_path)
    failed = f"p{[text for text, _, _ in ASKED].index('answer'):02}"
    assert failures(tmp_path) == [{"id": failed, "stage": "teacher", "reason": "http_400"}]
    assert failed not in {row.id for row in built.rows} | {rejected.id for rejected in built.rejected}


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^model big at http://127\.0\.0\.1:1/v1: [^\n]*$"):
        build(PROMPTS, Parameters(purify=False), workshop(tmp_path, "http://127.0.0.1:1/v1"))


def test_labels_by_the_teacher(server: Teacher, tmp_path: Path) -> None:
    """One prompt is labelled by the reply, one by search (the reply names no category), one keeps its own category."""

    def labels(messages: list[dict[str, Any]]) -> dict[str, Any]:
        if user_text(messages).startswith("Which of these categories"):
            return said("Gambling" if "refuse too" in user_text(messages) else "No idea.", "Hm.")
        return script(messages)

    server.script = labels
    built = run(server, tmp_path, labels="model")
    assert {row.id: row.provenance.get("category") for row in built.rows if row.kind is Kind.HARMFUL} == {
        "p00": "violence",
        "p01": "gambling",
    }
    (asked, _) = [text for text in server.asked if text.startswith("Which of these categories")]
    assert "- Violence & Weapons\n" in asked
    of_its_own = [p.model_copy(update={"category": "privacy"}) if p.id == "p01" else p for p in PROMPTS]
    server.requests.clear()
    again = build(of_its_own, Parameters(purify=False, labels="model"), workshop(tmp_path / "again", server))
    assert again.report["harmful prompts by category"] == {"violence": 1, "privacy": 1}
    assert len([text for text in server.asked if text.startswith("Which of these categories")]) == 1


def test_a_prompt_whose_label_fails_gives_no_row(server: Teacher, tmp_path: Path) -> None:
    def labels(messages: list[dict[str, Any]]) -> dict[str, Any]:
        if user_text(messages).startswith("Which of these categories"):
            raise ValueError("too long")
        return script(messages)

    server.script = labels
    built = run(server, tmp_path, labels="model")
    assert [row.id for row in built.rows if row.kind is Kind.HARMFUL] == []
    assert {(row["id"], row["stage"]) for row in failures(tmp_path)} == {("p00", "labels"), ("p01", "labels")}
    assert not {"p00", "p01"} & {rejected.id for rejected in built.rejected}


def test_the_data_set_folder(server: Teacher, tmp_path: Path) -> None:
    source = tmp_path / "prompts.jsonl"
    source.write_text("".join(p.model_dump_json(exclude={"source"}) + "\n" for p in PROMPTS), encoding="utf-8")
    settings = BuildSettings(
        recipe="ascl",
        sources=[f"file:{source}"],
        model="big",
        base_url=server.base_url,
        parameters={"ratio": "1:1:1", "purify": "false"},
    )
    make_data_set(settings, tmp_path / "out", "ascl data build ascl")
    rows = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    lost = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted([row["id"] for row in rows] + [row["id"] for row in lost]) == [prompt.id for prompt in PROMPTS]
    assert {row["reason"] for row in lost} == {reason for _, _, reason in ASKED if reason} | {"surplus"}
    assert "harmful, consult, teacher" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_a_model_in_this_process_as_its_own_teacher_and_purifier(tmp_path: Path, tiny_model: Path) -> None:
    """A random model is rejected always: what counts is that every prompt ends in one place."""
    settings = BuildSettings(
        recipe="ascl",
        sources=["starter"],
        model=str(tiny_model),
        sampling=Sampling(temperature=0.6, top_p=0.95, max_tokens=16),
    )
    built = make_data_set(settings, tmp_path, "ascl data build ascl", preview=4, batch=4)
    rows = [json.loads(line)["id"] for line in (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    lost = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    walked = (tmp_path / "stages" / "teacher.jsonl").read_text(encoding="utf-8").splitlines()
    ids = {json.loads(line)["trajectory"]["prompt_id"] for line in walked}
    assert len(ids) == 4
    assert sorted(rows + [row["id"] for row in lost]) == sorted(ids), "exactly one of the two, and once"
    assert all(row["stage"] in ("teacher", "purify", "mix") and row["reason"] for row in lost)
    assert len(built.rows) == len(rows)
