"""Trajectories of a teacher: the real client against a real server, the real tool and judge, and a stop in between."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from teacher_server import Teacher, called, said, teacher, user_text

from ascl.chat.clients.sampling import Sampling
from ascl.chat.messages import Message, Trajectory
from ascl.consult.tool import ConsultTool
from ascl.errors import InputError
from ascl.judges.offline import OfflineJudge
from ascl.judges.record import Record
from ascl.prompts.prompt import Kind, Prompt
from ascl.recipes.ascl import taught
from ascl.rules.book import RuleBook

TOOL = ConsultTool(RuleBook.load())
REFUSAL = "I can't help with that, because people would be hurt."
# The prompt's text, its kind, and whether the recipe takes what the teacher makes of it.
ASKED = [
    ("consult and refuse", Kind.HARMFUL, True),
    ("refuse at once", Kind.HARMFUL, False),
    ("consult and comply", Kind.HARMFUL, False),
    ("consult and answer", Kind.SENSITIVE, True),
    ("answer", Kind.SENSITIVE, True),
    ("consult and refuse", Kind.SENSITIVE, False),
    ("stop in mid sentence", Kind.SENSITIVE, False),
    ("do not think", Kind.SENSITIVE, False),
    ("think inline", Kind.PLAIN, True),
    ("claim a look-up", Kind.PLAIN, False),
    ("call the wrong tool and refuse", Kind.HARMFUL, False),
    ("what is 2 + 2?", Kind.REASONING, True),
    ("what is 2 + 3?", Kind.REASONING, False),
]


def script(messages: list[dict[str, Any]]) -> dict[str, Any]:
    text, consulted = user_text(messages), messages[-1]["role"] == "tool"
    if text.startswith("call the wrong tool") and not consulted:
        return called("weapons", "I should check.", name="search")
    if text.startswith("consult") and not consulted:
        return called("weapons that hurt people", "I should check.")
    if text.endswith("refuse") or text.startswith("refuse"):
        return said(REFUSAL, "That does harm.")
    if text.startswith("stop"):
        return said("First you take the", "That is fine.") | {"finish_reason": "length"}
    if text.startswith("do not think"):
        return said("Take the second street on the left.")
    if text.startswith("think inline"):
        return said("<think>Easy.</think>\n\nTake the second street on the left.")
    if text.startswith("claim"):
        return said("I checked the rules. Take the second street on the left.", "Easy.")
    if text.startswith("what is"):
        return said("The answer is 4.", "A sum.")
    return said("Take the second street on the left.", "That is fine.")


@pytest.fixture
def server() -> Iterator[Teacher]:
    with teacher(script) as running:
        yield running


def prompts() -> list[Prompt]:
    return [
        Prompt(
            id=f"p{i:02}",
            messages=[Message(role="user", content=text)],
            kind=kind,
            answer="4" if text.endswith("2?") else "5",
        )
        for i, (text, kind, _) in enumerate(ASKED)
    ]


def run(server: Teacher, folder: Path, concurrency: int = 1) -> list[tuple[Prompt, Trajectory]]:
    sampling = Sampling(temperature=0.6, top_p=0.95, max_tokens=64, seed=3)
    return taught("big", server.base_url, concurrency, sampling, prompts(), TOOL, OfflineJudge(), folder)


def records(path: Path) -> list[Record]:
    return [Record.model_validate_json(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_what_passes_is_taken_and_the_rest_is_kept_apart(server: Teacher, tmp_path: Path) -> None:
    taken = run(server, tmp_path)
    assert [prompt.id for prompt, _ in taken] == [f"p{i:02}" for i, (_, _, good) in enumerate(ASKED) if good]
    assert [r.prompt.id for r in records(tmp_path / "teacher.jsonl")] == [prompt.id for prompt in prompts()]
    rejected = records(tmp_path / "rejected.jsonl")
    assert [r.prompt.id for r in rejected] == [f"p{i:02}" for i, (_, _, good) in enumerate(ASKED) if not good]
    assert [r.trajectory.faults for r in rejected if r.prompt.text.startswith("call")] == [["unknown_tool"]]
    assert {r.variant for r in rejected} == {"teacher"}


def test_the_teacher_gets_the_tool_and_what_it_found(server: Teacher, tmp_path: Path) -> None:
    taken = run(server, tmp_path)
    first, second = [request for request in server.requests if user_text(request["messages"]) == ASKED[0][0]][:2]
    assert first["model"] == "big"
    assert first["tools"] == [TOOL.schema]
    assert (first["temperature"], first["top_p"], first["max_tokens"]) == (0.6, 0.95, 64)
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "tool"]
    found = TOOL.call("safety-policy-retrieve_policy", {"query": "weapons that hurt people"})
    assert second["messages"][3]["content"] == found.text
    trajectory = taken[0][1]
    assert trajectory.consultations == [found.consultation]
    assert trajectory.thoughts == ["I should check.", "That does harm."]
    assert (trajectory.answer, trajectory.tokens) == (REFUSAL, 10)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_second_run_asks_nothing(server: Teacher, tmp_path: Path, concurrency: int) -> None:
    first = run(server, tmp_path, concurrency)
    asked = len(server.requests)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert run(server, tmp_path, concurrency) == first
    assert len(server.requests) == asked
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("lines", [0, 3, 4, 6, 8, 12])
def test_a_stopped_run_asks_only_for_the_chunks_that_miss(server: Teacher, tmp_path: Path, lines: int) -> None:
    first = run(server, tmp_path)
    path = tmp_path / "teacher.jsonl"
    whole, rejected = path.read_bytes(), (tmp_path / "rejected.jsonl").read_bytes()
    kept = whole.splitlines(keepends=True)[:lines]
    path.write_bytes(b"".join(kept) + whole[sum(map(len, kept)) :][:50])
    (tmp_path / "rejected.jsonl").unlink()
    server.requests.clear()
    assert run(server, tmp_path) == first
    assert path.read_bytes() == whole
    assert (tmp_path / "rejected.jsonl").read_bytes() == rejected
    assert set(server.asked) == {prompt.text for prompt in prompts()[lines // 4 * 4 :]}


def test_a_server_that_refuses_is_one_error_and_finished_chunks_stay(server: Teacher, tmp_path: Path) -> None:
    def fails(messages: list[dict[str, Any]]) -> dict[str, Any]:
        if user_text(messages) == "think inline":
            raise ValueError("out of quota")
        return script(messages)

    server.script = fails
    with pytest.raises(InputError, match=rf"model big at {server.base_url}: .*out of quota"):
        run(server, tmp_path)
    assert len(records(tmp_path / "teacher.jsonl")) == 8
    server.script = script
    server.requests.clear()
    assert len(run(server, tmp_path)) == sum(good for _, _, good in ASKED)
    assert "consult and answer" not in server.asked
