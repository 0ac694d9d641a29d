"""`ascl data` and `ascl sft` as a user types them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from teacher_server import said, teacher
from typer.testing import CliRunner

from ascl.cli.main import app

THOUGHT = "The user wants to get into a house that is not theirs; this is a burglary, so the answer has to be no."
OWN = (
    "They would like me to explain how a stranger's door is opened. I think nobody who owns it would ask, so I refuse."
)
REFUSAL = "I'm sorry, but I can't help with that."


@pytest.fixture
def source(folder: Path) -> Path:
    path = folder / "source.jsonl"
    rows = [
        {"id": f"p{i}", "prompt": f"p{i}: a lock?", "thought": THOUGHT, "answer": REFUSAL, "kind": "harmful"}
        for i in range(6)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rewrite(messages: list[dict[str, Any]]) -> dict[str, Any]:
    return said(f"Thoughts: {OWN}\nReply: {REFUSAL} \x1b[31mred")


def test_from_a_source_set_to_a_trained_model(folder: Path, source: Path, tiny_model: Path) -> None:
    with teacher(rewrite) as server:
        asked = ("--from", f"file:{source}", "--model", "target", "--base-url", server.base_url)
        result = CliRunner().invoke(app, ["data", "build", "dgr", *asked, "--sizes", "2,4"])
    assert result.exit_code == 0, result.output
    assert "refinement: harmful: accepted 6" in result.stdout and "6 rows: data/dgr/train.jsonl" in result.stdout
    assert sorted(p.name for p in (folder / "data" / "dgr").glob("train*")) == [
        "train-2.jsonl",
        "train-4.jsonl",
        "train.jsonl",
    ]
    small = ["--epochs", "1", "--batch-size", "2", "--micro-batch-size", "2", "--dtype", "float32"]
    trained = CliRunner().invoke(
        app, ["sft", "--model", str(tiny_model), "--data", "data/dgr", "--out", "tuned", *small]
    )
    assert trained.exit_code == 0, trained.output
    held_out = folder / "held_out.jsonl"
    held_out.write_text("".join(json.dumps({"id": f"h{i}", "prompt": "Hi", "kind": "plain"}) + "\n" for i in range(6)))
    compared = ["--tuned", "tuned", "--prompts", f"file:{held_out}", "--own", "2", "--out", "shift.json"]
    shifted = CliRunner().invoke(
        app,
        ["data", "shift", "data/dgr/train-2.jsonl", "data/dgr/train-4.jsonl", "--model", str(tiny_model), *compared],
    )
    assert shifted.exit_code == 0, shifted.output
    figures = json.loads((folder / "shift.json").read_text())
    assert [list(segments) for segments in figures["sets"].values()] == [["thought", "answer", "reply"]] * 2
    between, first, second, kl, moved = figures["compared"].values()
    assert between["value"] == pytest.approx(1) and between["n"] == 2, "the same rows in both sets"
    assert first["n"] == second["n"] == 2 and 0 <= first["value"] <= 1 and moved["n"] == 6
    assert kl["n"] == 6 and kl["value"] == pytest.approx(0, abs=1e-4), "three small steps move a random model little"


def test_a_preview_prints_rows_and_writes_nothing(folder: Path, source: Path) -> None:
    with teacher(rewrite) as server:
        asked = ("--from", f"file:{source}", "--model", "target", "--base-url", server.base_url)
        result = CliRunner().invoke(app, ["data", "build", "dgr", *asked, "--preview", "2"])
    assert result.exit_code == 0
    assert f"[assistant, thought] {OWN}" in result.stdout and f"[assistant] {REFUSAL}" in result.stdout
    assert "\x1b" not in result.stdout, "an escape sequence of the model's never reaches the terminal"
    assert result.stdout.count("[user]") == 2
    assert [p.name for p in folder.iterdir()] == ["source.jsonl"]


@pytest.mark.parametrize(("fallback", "outcome"), [("drop", "no row"), ("keep", "the reference is kept")])
def test_a_preview_shows_what_was_rejected_and_why(folder: Path, source: Path, fallback: str, outcome: str) -> None:
    def answer(messages: list[dict[str, Any]]) -> dict[str, Any]:
        if "p0:" in messages[-1]["content"]:
            raise ValueError("this prompt is \x1b[31m too long")
        if "p2:" in messages[-1]["content"]:
            return said("Thoughts: none, for I was c", "A native thought.") | {"finish_reason": "length"}
        return said("I \x1b[31mwould rather not.")

    with teacher(answer) as server:
        asked = ("--from", f"file:{source}", "--model", "target", "--base-url", server.base_url)
        options = ["--preview", "3", "--set", f"fallback={fallback}", "--set", "attempts=1"]
        result = CliRunner().invoke(app, ["data", "build", "dgr", *asked, *options])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    _, _, rejected = result.stdout.partition(f"\np0: {outcome} (refine: ")
    failed, cut, unread = rejected.split(f"{outcome} (refine: ")
    assert "[the request failed: http_400]" in failed and "too long" in failed
    assert cut.startswith("no reply)\n[assistant, thought] A native thought.\n[assistant] Thoughts: none, for I was c")
    assert "ended: length]" in cut
    assert unread.startswith("sections)\n[assistant] I [31mwould rather not.\n")
    kept = 3 if fallback == "keep" else 0
    assert unread.endswith(f"\n{kept} rows, {3 - kept} prompts without one\n")


def test_a_budget_stops_the_build_and_the_same_command_goes_on(folder: Path, source: Path) -> None:
    with teacher(rewrite) as server:
        asked = ["data", "build", "dgr", "--from", f"file:{source}", "--model", "target", "--base-url", server.base_url]
        stopped = CliRunner().invoke(app, [*asked, "--budget-requests", "4", "--concurrency", "1"])
        assert stopped.exit_code == 2 and stopped.stderr.count("ascl: ") == 1
        assert not (folder / "data" / "dgr" / "train.jsonl").exists()
        assert CliRunner().invoke(app, asked).exit_code == 0
        assert len(server.requests) == 6, "no finished prompt is asked again"


def test_one_word_for_the_bound_on_a_turn_and_others_for_the_budget(folder: Path, source: Path) -> None:
    with teacher(rewrite) as server:
        asked = ["data", "build", "dgr", "--from", f"file:{source}", "--model", "target", "--base-url", server.base_url]
        built = CliRunner().invoke(app, [*asked, "--max-tokens", "77", "--budget-tokens", "5000"])
    assert built.exit_code == 0, built.output
    assert {request["max_tokens"] for request in server.requests} == {77}
    assert "dgr: at most 77 tokens a model turn; budget of the run: 5000 tokens" in built.stderr
    for gone in ("--max-new-tokens", "--max-requests"):
        assert CliRunner().invoke(app, [*asked, gone, "9"]).exit_code == 2


def test_a_data_set_is_cleaned_as_a_folder(folder: Path, source: Path) -> None:
    made = ["data", "build", "vanilla", "--from", f"file:{source}", "--out", "plain"]
    assert CliRunner().invoke(app, made).exit_code == 0
    (folder / "held.jsonl").write_text(json.dumps({"id": "h", "prompt": "P2: a LOCK", "kind": "plain"}) + "\n")
    cleaned = CliRunner().invoke(
        app, ["data", "decontaminate", "plain", "--against", "file:held.jsonl", "--out", "clean"]
    )
    assert cleaned.exit_code == 0 and cleaned.stdout.endswith("6 rows, 1 dropped, 5 kept\n")
    left = [json.loads(line)["id"] for line in (folder / "clean" / "train.jsonl").read_text().splitlines()]
    assert left == ["p0", "p1", "p3", "p4", "p5"]
    assert (folder / "clean" / "train.jsonl.report.json").exists()


def test_the_sets_are_listed(ascl: Callable[..., tuple[int, str]]) -> None:
    code, out = ascl("data", "sources")
    assert code == 0
    assert all(name in out for name in ("star1", "direct_refusal", "r1_act", "safechain", "xstest", "gated"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("build", "ddr", "--from", "star1"), "recipe ddr: unknown"),
        (("build", "dgr", "--from", "nowhere", "--model", "m"), "unknown source nowhere"),
        (("build", "dgr", "--from", "file:source.jsonl"), "name the model"),
        (("build", "dgr", "--from", "file:none.jsonl", "--model", "m"), "none.jsonl: no such file"),
        (("build", "dgr", "--from", "file:source.jsonl", "--model", "m", "--set", "fallback"), "write name=value"),
        (("build", "dgr", "--from", "file:source.jsonl", "--model", "m", "--set", "fallback=some"), "fallback"),
        (("build", "vanilla", "--from", "file:source.jsonl", "--sizes", "ten"), "--sizes ten"),
        (("build", "vanilla", "--from", "file:source.jsonl", "--sizes", "100"), "100 rows are asked for"),
        (("decontaminate", ".", "--against", "starter", "--out", "clean"), "train.jsonl: no such file"),
        (("shift", "none.jsonl", "--model", "m"), "none.jsonl: no such file"),
        (("shift", "source.jsonl", "--model", "m"), "source.jsonl, line 1: messages: a list of messages is expected"),
    ],
)
def test_bad_input_is_one_line(
    source: Path, complaint: Callable[..., str], arguments: tuple[str, ...], said: str
) -> None:
    assert said in complaint("data", *arguments)
