"""`ascl chat` with a model here or on a server, in a variant, turn by turn; what `ascl mcp` can not do."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teacher_server import Teacher, called, said, teacher

from ascl.chat.messages import Message, StopReason, ToolCall, Trajectory
from ascl.cli.talk import _show
from ascl.progress import Screen

Ascl = Callable[..., tuple[int, str]]
Complaint = Callable[..., str]


def script(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Look the question up, then refuse."""
    if messages[-1]["role"] == "user":
        return called("fake passport", "This may break a rule.")
    return said("No, I can't help with that.")


@pytest.fixture
def server() -> Iterator[Teacher]:
    with teacher(script) as running:
        yield running


def test_it_says_that_it_loads_and_answers_until_an_empty_line(ascl: Ascl, tiny_model: Path) -> None:
    code, printed = ascl("chat", "--model", str(tiny_model), "--max-tokens", "4", typed="Hello\nAgain\n\nUnread\n")
    assert code == 0
    assert printed.splitlines()[0] == f"loading {tiny_model} .."
    assert printed.count("you ") == 3


def test_a_served_model_consults_and_the_rules_have_their_ids(ascl: Ascl, server: Teacher) -> None:
    options = ["chat", "--model", "m", "--base-url", server.base_url, "--top-k", "2"]
    code, printed = ascl(*options, typed="How do I get a passport?\nAnd now?\n\n")
    assert code == 0
    assert "loading" not in printed
    assert printed.count("consults: fake passport") == 2
    _, found = ascl("rules", "search", "fake passport", "--top-k", "2")
    shown = " ".join(printed.split())
    assert all(" ".join(line.split()) in shown for line in found.splitlines())
    assert printed.count("model No, I can't help with that.") == 2
    history = [message["role"] for message in server.requests[-1]["messages"]]
    assert history == ["system", "user", "assistant", "user", "assistant", "tool"]


@pytest.mark.parametrize(("variant", "system"), [("pure", False), ("short", True), ("rag", True)])
def test_a_variant_without_the_tool(ascl: Ascl, server: Teacher, variant: str, system: bool) -> None:
    server.script = lambda messages: said("Ask the town hall.")
    options = ["chat", "--model", "m", "--base-url", server.base_url, "--variant", variant]
    code, printed = ascl(*options, typed="fake passport\n\n")
    assert code == 0
    (request,) = server.requests
    assert "tools" not in request
    assert (request["messages"][0]["role"] == "system") is system
    _, found = ascl("rules", "search", "fake passport")
    first_id = found.split(" ")[2].rstrip(":")
    assert (first_id in printed) is (variant == "rag")


def test_what_is_not_there_is_one_line(complaint: Complaint) -> None:
    assert complaint("chat", "--model", "m", "--variant", "bare").startswith("--variant bare: use one of pure, short")
    nobody = "http://127.0.0.1:9/v1"
    assert complaint("chat", "--model", "m", "--base-url", nobody).startswith(f"model m at {nobody}: ")
    assert complaint("chat", "--model", "./nowhere") == "model ./nowhere: no such folder"


def test_the_server_says_what_it_can_not_do(complaint: Complaint) -> None:
    assert complaint("mcp", "--transport", "smoke") == "--transport smoke: use stdio or http"
    assert complaint("mcp", "--rules", "none").startswith("none: no such rule book")
    assert complaint("mcp", "--embedding-model", "./nowhere").startswith("embedding model ./nowhere: ")
    line = complaint("mcp", "--transport", "http", "--host", "no.such.host.invalid")
    assert line.startswith("no.such.host.invalid, port 8765: can't listen there (")


# a turn on the screen


def shown_of(trajectory: Trajectory) -> str:
    console = Screen(file=io.StringIO(), width=10_000, force_terminal=True, color_system=None)
    _show(console, trajectory)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def walk(thought: str, query: str, result: str, answer: str, stop: StopReason = StopReason.ANSWERED) -> Trajectory:
    """A chat turn that consults once and then answers."""
    call = ToolCall(id="call_1_0", name="safety-policy-retrieve_policy", arguments={"query": query})
    return Trajectory(
        prompt_id="chat",
        prompt_length=1,
        stop=stop,
        messages=[
            Message(role="user", content="unseen"),
            Message(role="assistant", content="", reasoning_content=thought, tool_calls=[call]),
            Message(role="tool", content=result, tool_call_id="call_1_0"),
            Message(role="assistant", content=answer),
        ],
    )


def test_a_turn_shows_thought_consultation_result_and_answer() -> None:
    shown = shown_of(walk("let me check", "fake passport", "1. (42.6%) Forging.", "No [really]."))
    assert shown.splitlines() == [
        "thinks: let me check",
        "consults: fake passport",
        "1. (42.6%) Forging.",
        "model No [really].",
    ]


@pytest.mark.parametrize("stop", [StopReason.TRUNCATED, StopReason.MALFORMED, StopReason.TURN_LIMIT, StopReason.EMPTY])
def test_a_turn_without_an_answer_says_why(stop: StopReason) -> None:
    trajectory = walk("t", "q", "r", "not an answer", stop)
    trajectory.faults.append("malformed: tool call is not JSON")
    shown = shown_of(trajectory)
    assert shown.splitlines()[-1] == f"({stop.value}: malformed: tool call is not JSON)"
    assert "model" not in shown


@settings(deadline=None)
@given(st.text(st.sampled_from("a[]/\\b\n\x1b\x07\x9b=1m")), st.text(st.sampled_from("[bold]\\/x\x1b")))
def test_model_text_can_not_steer_the_terminal(answer: str, query: str) -> None:
    shown = shown_of(walk("t", query, "r", answer))
    assert {c for c in shown if not c.isprintable()} <= {"\n"}
    kept = "".join(c for c in answer if c == "\n" or c.isprintable())
    assert shown.endswith(f"model {kept}\n")
    assert f"consults: {''.join(c for c in query if c.isprintable())}\n" in shown
