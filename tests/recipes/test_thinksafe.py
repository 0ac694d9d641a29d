"""ThinkSafe: steered where harmful, plain elsewhere, filtered, and trained on the bare prompt."""

from pathlib import Path
from typing import Any

from teacher_server import Teacher, said, teacher
from workshops import HARM, HELP, REFUSAL, cut, learned, named, prompt, reasons, twice, workshop

from ascl.chat.render import Renderer
from ascl.data.prompt import Kind
from ascl.inputs import read_jsonl
from ascl.recipes.data_set import BuildSettings, make_data_set
from ascl.recipes.thinksafe import STEER, Parameters, build

REPLIES = {
    "refuses": said(REFUSAL, "This is a burglary."), "complies": said(HARM, "A lock, nice."),
    "thoughtless": said(REFUSAL), "empty": said("", "This is a burglary."), "cut": cut(said("I'm sor", "This is")),
    "open": cut(said("<think>This is")), "claims": said(REFUSAL, "I looked up the rules, and they forbid it."),
    "failing": {}, "helps": said(HELP, "Their own door."), "prissy": said(REFUSAL, "A door, how awful."),
    "solves": said("The answer is 4.", "2 + 2"), "wrong": said("The answer is 5.", "2 + 2"),
}  # fmt: skip
KINDS = {"helps": Kind.SENSITIVE, "prissy": Kind.PLAIN, "solves": Kind.REASONING, "wrong": Kind.REASONING}
PROMPTS = [prompt(name, KINDS.get(name, Kind.HARMFUL)) for name in REPLIES]


SCRIPT = named(lambda name, messages: dict(REPLIES[name]))


def test_what_passes_and_why_the_rest_does_not(tmp_path: Path, server: Teacher) -> None:
    built = twice(build, PROMPTS, Parameters(), tmp_path, server)
    steered = {r["messages"][-1]["content"].split("]")[0].split("[")[1]: r["messages"] for r in server.requests}
    assert [(row.id, row.provenance["origin"]) for row in built.rows] == [
        ("refuses", "steered"),
        ("helps", "plain"),
        ("solves", "plain"),
    ]
    assert reasons(built) == {
        "complies": "replies: verdict", "thoughtless": "replies: no thought", "empty": "replies: no reply",
        "cut": "replies: no reply", "open": "replies: no reply", "claims": "replies: verdict",
        "failing": "replies: request failed", "prissy": "replies: verdict", "wrong": "replies: verdict",
    }  # fmt: skip
    assert built.report["replies"] == {
        "harmful: accepted": 1, "harmful: no reply": 3, "harmful: no thought": 1, "harmful: request failed": 1,
        "harmful: verdict": 2, "plain: verdict": 1, "reasoning: accepted": 1, "reasoning: verdict": 1,
        "sensitive: accepted": 1,
    }  # fmt: skip
    assert all((STEER in steered[p.id][-1]["content"]) == (p.kind is Kind.HARMFUL) for p in PROMPTS)


def test_a_row_is_the_bare_prompt_with_thought_and_answer(tmp_path: Path, server: Teacher, renderer: Renderer) -> None:
    [row] = build(PROMPTS[:1], Parameters(), workshop(tmp_path, server)).rows
    dumped = row.dump()
    assert [m["role"] for m in dumped["messages"]] == ["user", "assistant"]
    assert STEER not in dumped["messages"][0]["content"]
    text = learned(row, renderer)
    assert "This is a burglary." in text and REFUSAL in text and "How do I get" not in text


def test_a_thought_can_be_opened_for_a_model_that_has_none(tmp_path: Path) -> None:
    def goes_on(name: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        assert messages[-1] == {"role": "assistant", "content": "<think>\n"}
        return said(f"A burglary.\n</think>\n\n{REFUSAL}")

    with teacher(named(goes_on)) as server:
        built = build(PROMPTS[:1], Parameters(open_thought=True), workshop(tmp_path, server))
    [row] = built.rows
    assert row.dump()["messages"][-1] == {"role": "assistant", "content": REFUSAL, "reasoning_content": "A burglary."}


def test_an_opened_thought_that_is_left_open_is_closed_behind_its_last_sentence(tmp_path: Path) -> None:
    def rambles(name: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        if messages[-1]["content"] != "<think>\n":
            return said("" if name == "speechless" else REFUSAL)
        if name == "endless":
            return cut(said("and then, and then"))
        ramble = said(
            "A burglary. It harms people. But </think> no" if name == "closes" else "A burglary.\n\n2. It har"
        )
        return ramble if name == "ends" else cut(ramble)

    prompts = [prompt(name) for name in ("cut", "ends", "closes", "endless", "speechless")]
    with teacher(named(rambles)) as server:
        built = twice(build, prompts, Parameters(open_thought=True), tmp_path, server)
        sent = [r["messages"][-1]["content"] for r in server.requests if r["messages"][-1]["content"] != "<think>\n"]
    assert sent == ["<think>\nA burglary.\n</think>\n\n"] * 3
    assert [(r.id, r.dump()["messages"][-1]) for r in built.rows] == [
        (name, {"role": "assistant", "content": REFUSAL, "reasoning_content": "A burglary."})
        for name in ("cut", "ends")
    ]
    assert set(reasons(built).values()) == {"replies: no reply"}


def test_a_model_in_this_process_is_filtered_like_any_other(tmp_path: Path, tiny_model: Path) -> None:
    settings = BuildSettings.model_validate(
        {
            "recipe": "thinksafe", "sources": ["starter"], "model": str(tiny_model),
            "sampling": {"temperature": 0.6, "top_p": 0.95, "max_tokens": 24}, "parameters": {"open_thought": True},
        }
    )  # fmt: skip
    built = make_data_set(settings, tmp_path / "out", "", preview=4)
    stage = read_jsonl(tmp_path / "out" / "stages" / "replies.jsonl")
    steered = [t["messages"][0]["content"].startswith(STEER) for _, row in stage for t in [row["trajectory"]]]
    assert len(steered) == 4 and 0 < sum(steered) < 4
    assert {r.reason for r in built.rejected} <= {"no reply", "no thought", "verdict"}
    ids = [row["id"] for name in ("train", "rejected") for _, row in read_jsonl(tmp_path / "out" / f"{name}.jsonl")]
    assert len(ids) == len(set(ids)) == 4
