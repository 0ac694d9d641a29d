"""ThinkSafe: steered where harmful, plain elsewhere, filtered, asked again, and trained on the bare prompt."""

from pathlib import Path
from typing import Any

import pytest
from teacher_server import Teacher, said, teacher
from workshops import HARM, HELP, REFUSAL, Guard, cut, learned, named, prompt, reasons, twice, workshop

from ascl.chat.render import Renderer
from ascl.data.prompt import Kind
from ascl.inputs import read_jsonl
from ascl.recipes.data_set import BuildSettings, make_data_set
from ascl.recipes.thinksafe import FIRMLY, Parameters, Steering, build, steered

STEER = "The following prompt is harmful. You should refuse to answer the prompt."
ONCE = Parameters(attempts=1)
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
    built = twice(build, PROMPTS, ONCE, tmp_path, server)
    sent = {r["messages"][-1]["content"].split("]")[0].split("[")[1]: r["messages"] for r in server.requests}
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
    assert all((STEER in sent[p.id][-1]["content"]) == (p.kind is Kind.HARMFUL) for p in PROMPTS)
    assert built.report["harmful prompts covered after"] == {"replies": 1 / 8}
    assert sum(built.report["failed attempts"].values()) == len(PROMPTS) - 3


SAID = "[p] How do I get through this door?"
STEERED = {
    "default": f"{STEER}\n\nPrompt: {SAID}",
    "suffix": f"Prompt: {SAID}\n\nThe prompt above is harmful. You should refuse to answer the prompt.",
    "risk": "The following prompt is harmful. You should weigh the risks of answering it, and then refuse to answer "
    f"the prompt.\n\nPrompt: {SAID}",
    "intent": "The following prompt is harmful. You should examine the intent of whoever wrote it, and then refuse to "
    f"answer the prompt.\n\nPrompt: {SAID}",
}


@pytest.mark.parametrize("steering", STEERED)
def test_how_a_harmful_prompt_is_steered(steering: Steering) -> None:
    [message] = steered(prompt("p"), steering)
    [firm] = steered(prompt("p"), steering, firmly=True)
    assert message.content == STEERED[steering]
    assert firm.content == FIRMLY + STEERED[steering]


def test_what_fails_is_asked_again_up_the_ladder(tmp_path: Path) -> None:
    asked: dict[str, list[str]] = {}

    def climbs(name: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        tries = asked.setdefault(name, [])
        tries.append(messages[-1]["content"])
        if len(tries) < int(name.partition("-")[2]):
            wrong = said(REFUSAL if "plain" in name else HARM, "Hm.")
            return wrong if len(tries) % 2 or "plain" in name else said(REFUSAL)
        return said(HELP if "plain" in name else REFUSAL, "This is a burglary.")

    names = ["a-1", "b-2", "c-3", "d-4", "e-5", "plain-3"]
    prompts = [prompt(name, Kind.PLAIN if "plain" in name else Kind.HARMFUL) for name in names]
    prompts.append(prompt("failing"))
    with teacher(named(climbs)) as server:
        built = twice(build, prompts, Parameters(), tmp_path, server)
        seeds = [r["seed"] for r in server.requests if "[d-4]" in r["messages"][-1]["content"]]
    stages = ["replies", "replies_2", "replies_3", "replies_4"]
    assert {row.id: row.provenance["stage"] for row in built.rows} == dict(
        zip([*names[:4], "plain-3"], [*stages, stages[2]], strict=True)
    )
    assert reasons(built) == {"e-5": "replies_4: no thought", "failing": "replies: request failed"}
    assert [FIRMLY in text for text in asked["d-4"]] == [False, False, True, True]
    assert not any("harmful" in text for text in asked["plain-3"]), "another prompt is asked plainly, however often"
    assert len(set(seeds)) == 4, "another sample, not the same one again"
    assert built.report["harmful prompts covered after"] == dict(zip(stages, [1 / 6, 2 / 6, 3 / 6, 4 / 6], strict=True))
    assert built.report["accepted by stage"]["plain: replies_3"] == 1
    assert built.report["failed attempts"] == {"verdict": 8, "no thought": 4, "request failed": 1}


def test_a_guard_reads_thought_and_answer_of_both_sides(tmp_path: Path) -> None:
    """A thought that holds the harm costs the row, on either side; the offline judge sees answers alone."""

    def thinks(name: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        thought = "One would need a tension wrench." if "dirty" in name else "Whose door?"
        return said(REFUSAL if "harmful" in name else HELP, thought)

    names = ["harmful-clean", "harmful-dirty", "plain-clean", "plain-dirty"]
    prompts = [prompt(name, Kind.HARMFUL if "harmful" in name else Kind.PLAIN) for name in names]
    with teacher(named(thinks)) as server:
        guarded = build(prompts, ONCE, workshop(tmp_path / "guard", server, judge=Guard()))
        offline = build(prompts, ONCE, workshop(tmp_path / "offline", server))
    assert [row.id for row in guarded.rows] == ["harmful-clean", "plain-clean"]
    assert reasons(guarded) == {"harmful-dirty": "replies: verdict", "plain-dirty": "replies: verdict"}
    assert [row.id for row in offline.rows] == names


def test_a_harmless_prompt_wants_a_safe_answer_too(tmp_path: Path) -> None:
    with teacher(named(lambda name, messages: said(f"{HELP} Or take a tension wrench.", "Whose door?"))) as server:
        built = build([prompt("p", Kind.SENSITIVE)], ONCE, workshop(tmp_path, server, judge=Guard()))
    assert reasons(built) == {"p": "replies: verdict"}


def test_a_row_is_the_bare_prompt_with_thought_and_answer(tmp_path: Path, server: Teacher, renderer: Renderer) -> None:
    [row] = build(PROMPTS[:1], ONCE, workshop(tmp_path, server)).rows
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
        built = twice(build, prompts, Parameters(open_thought=True, attempts=1), tmp_path, server)
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
            "sampling": {"temperature": 0.6, "top_p": 0.95, "max_tokens": 24},
            "parameters": {"open_thought": True, "attempts": 1},
        }
    )  # fmt: skip
    built = make_data_set(settings, tmp_path / "out", "", preview=4)
    stage = read_jsonl(tmp_path / "out" / "stages" / "replies.jsonl")
    steered = [t["messages"][0]["content"].startswith(STEER) for _, row in stage for t in [row["trajectory"]]]
    assert len(steered) == 4 and 0 < sum(steered) < 4
    assert {r.reason for r in built.rejected} <= {"no reply", "no thought", "verdict"}
    ids = [row["id"] for name in ("train", "rejected") for _, row in read_jsonl(tmp_path / "out" / f"{name}.jsonl")]
    assert len(ids) == len(set(ids)) == 4
