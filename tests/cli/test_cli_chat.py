"""`ascl chat`: with a model in this process and with one behind a server, in a variant, with the rules it finds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from teacher_server import Teacher, called, said, teacher

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


def test_it_says_that_it_loads(ascl: Ascl, tiny_model: Path) -> None:
    code, printed = ascl("chat", "--model", str(tiny_model), "--max-tokens", "2", typed="Hello\n\n")
    assert code == 0
    assert printed.splitlines()[0] == f"loading {tiny_model} .."


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
