"""Sampling from servers that misbehave: every failure is counted in its class, and every prompt ends in one file."""

import json
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from teacher_server import Raw, Teacher, called, said, teacher, user_text

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.errors import InputError
from ascl.inputs import read_jsonl
from ascl.models.openai_server import OpenAIClient
from ascl.models.sampling import Sampling
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule
from ascl.sampling.served import REJECTED_IN_A_ROW
from ascl.sampling.to_file import Job, sample_to

TOOL = ConsultTool(RuleBook([Rule(id="tea.cold", category="tea", title="Tea", text="Serving cold tea.")]))
ATTEMPTS = 3
MEGABYTES = 10


def job(name: str) -> Job:
    return Job(name, [Message(role="user", content=name)])


class Ran:
    """What a run left: the trajectories and the rejected prompts by id, and the failures it told of."""

    def __init__(self, path: Path, note: str) -> None:
        rows = [Trajectory.model_validate(row["trajectory"]) for _, row in read_jsonl(path)]
        self.finished = {trajectory.prompt_id: trajectory for trajectory in rows}
        rejected = path.with_name("rejected.jsonl")
        self.rejected = {row["id"]: row for _, row in read_jsonl(rejected)} if rejected.exists() else {}
        assert len(self.finished) == len(rows)
        assert list(self.finished) == sorted(self.finished)
        told = (part.split(" ", 1) for part in note.split(", ")[2:])  # after prompts/s and tokens/s
        self.failures = {kind: int(count) for count, kind in told}


def run(server: Teacher, folder: Path, jobs: Iterable[Job], timeout: float = 60.0, concurrency: int = 8) -> Ran:
    client = OpenAIClient("m", server.base_url, concurrency, timeout, attempts=ATTEMPTS, backoff=0.001)
    notes = [""]

    def hear(done: int, note: str = "") -> None:
        notes.append(note)

    sample_to(folder / "rows.jsonl", client, jobs, TOOL, Sampling(), progress=hear)
    return Ran(folder / "rows.jsonl", notes[-1])


def tool_calls(*functions: tuple[Any, Any]) -> dict[str, Any]:
    calls = [
        {"id": str(i), "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(functions)
    ]
    return said("", "Let me look.") | {"tool_calls": calls}


QUERY = json.dumps({"query": "cold tea"})
NO_CHOICES = json.dumps({"id": "r", "object": "chat.completion", "choices": [], "usage": None}).encode()
BROKEN_OFF = json.dumps({"choices": [{"finish_reason": "abort", "message": {"content": "First, take"}}]}).encode()
PAGE = Raw(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})

# Replies that pass: how the failure is called.
PASSING: dict[str, Raw] = {
    "http_429": Raw(429, b'{"error": {"message": "slow down"}}'),
    "http_429 ": Raw(429, b"", {"Retry-After": "0"}),
    "http_429  ": Raw(429, b"", {"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}),
    "http_429   ": Raw(429, b"", {"Retry-After": "soon"}),
    "http_500": Raw(500, b"Internal Server Error"),
    "http_503": Raw(503, b"<html>busy</html>"),
    "not_a_completion": Raw(200, b'{"id": "r", "choices": [{"mess'),
    "not_a_completion ": Raw(200, NO_CHOICES),
    "not_a_completion  ": PAGE,
    "connection": Raw(200, b'{"id"', cut=True),
    "unfinished": Raw(200, BROKEN_OFF),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_failure_that_passes_is_retried(tmp_path: Path, name: str) -> None:
    with teacher(lambda messages: PASSING[name] if len(server.requests) < ATTEMPTS else said("Fine.")) as server:
        ran = run(server, tmp_path, [job("p")])
    assert ran.finished["p"].answer == "Fine."
    assert ran.rejected == {}
    assert ran.failures == {name.strip(): ATTEMPTS - 1}
    assert len(server.requests) == ATTEMPTS


@pytest.mark.parametrize("name", PASSING)
def test_a_failure_that_does_not_pass_rejects_the_prompt(tmp_path: Path, name: str) -> None:
    with teacher(lambda messages: PASSING[name]) as server:
        ran = run(server, tmp_path, [job("p")])
    assert ran.finished == {}
    rejected = ran.rejected["p"]
    assert (rejected["stage"], rejected["kind"], rejected["attempts"]) == ("rows", name.strip(), ATTEMPTS)
    assert rejected["reason"]
    assert ran.failures == {name.strip(): ATTEMPTS, "rejected": 1}
    assert len(server.requests) == ATTEMPTS


def test_a_server_that_does_not_answer_is_a_timeout(tmp_path: Path) -> None:
    with teacher(lambda messages: Raw(silent=True)) as server:
        ran = run(server, tmp_path, [job("p")], timeout=0.2)
    assert (ran.rejected["p"]["kind"], ran.rejected["p"]["attempts"]) == ("timeout", ATTEMPTS)
    assert ran.failures == {"timeout": ATTEMPTS, "rejected": 1}


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_prompt_the_server_refuses_is_rejected_at_once(tmp_path: Path, status: int) -> None:
    def script(messages: list[dict[str, Any]]) -> dict[str, Any] | Raw:
        return Raw(status, b'{"error": {"message": "too long"}}') if user_text(messages) == "p1" else said("Fine.")

    with teacher(script) as server:
        ran = run(server, tmp_path, [job("p0"), job("p1"), job("p2")])
    assert list(ran.finished) == ["p0", "p2"]
    assert ran.rejected["p1"] == {
        "id": "p1",
        "stage": "rows",
        "kind": f"http_{status}",
        "reason": f"Error code: {status} - too long",
        "attempts": 1,
    }
    assert server.asked.count("p1") == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_ends_the_run(tmp_path: Path, status: int) -> None:
    def script(messages: list[dict[str, Any]]) -> dict[str, Any] | Raw:
        return said("Fine.") if len(server.requests) <= 2 else Raw(status, b'{"error": {"message": "who are you"}}')

    jobs = [job(f"p{i}") for i in range(9)]
    with teacher(script) as server:
        with pytest.raises(InputError, match=f"^model m at {server.base_url}: Error code: {status} - who are you$"):
            run(server, tmp_path, jobs, concurrency=1)
        assert len(server.requests) == 3
        assert len(read_jsonl(tmp_path / "rows.jsonl")) == 2, "what was finished is kept"
        assert not (tmp_path / "rejected.jsonl").exists()
        server.script = lambda messages: said("Fine.")
        assert len(run(server, tmp_path, jobs).finished) == 9
    assert Counter(server.asked) == {f"p{i}": 2 if i == 2 else 1 for i in range(9)}


def test_a_server_that_is_not_there_ends_the_run(tmp_path: Path) -> None:
    with teacher(lambda messages: said("Fine.")) as server:
        pass
    with pytest.raises(InputError, match=f"^model m at {server.base_url}: Connection error"):
        run(server, tmp_path, [job(f"p{i}") for i in range(50)])
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_refuses_everything_ends_the_run(tmp_path: Path) -> None:
    """A tool parser that is not switched on, say, is a 400 for every prompt."""
    with teacher(lambda messages: Raw(400, b'{"error": {"message": "no tools"}}')) as server:
        with pytest.raises(InputError, match=r"prompts in a row were rejected, .*no tools \(they are in .*rejected"):
            run(server, tmp_path, [job(f"p{i:02}") for i in range(60)])
        rejected = len(read_jsonl(tmp_path / "rejected.jsonl"))
        assert REJECTED_IN_A_ROW <= rejected <= REJECTED_IN_A_ROW + 8
        (tmp_path / "rejected.jsonl").unlink()
        server.script = lambda messages: said("Fine.")
        assert len(run(server, tmp_path, [job(f"p{i:02}") for i in range(60)]).finished) == 60


def ill(stop: StopReason, message: dict[str, Any], *faults: str) -> tuple[dict[str, Any], StopReason, list[str]]:
    return message, stop, list(faults)


ANSWERED, MALFORMED, TRUNCATED = StopReason.ANSWERED, StopReason.MALFORMED, StopReason.TRUNCATED
HALF, HUGE = tool_calls((TOOL_NAME, '{"query": "te')), "tea " * (MEGABYTES << 18)
IN_TEXT = f'<think>I could <tool_call>{{"name": "{TOOL_NAME}", "arguments": {QUERY}}}</tool_call>'
WRONG = tool_calls((TOOL_NAME, '{"query": 3}'), (TOOL_NAME, '{"query": "tea", "top_k": "three"}'))
SEVERAL = tool_calls((TOOL_NAME, QUERY), (TOOL_NAME, "{}"), (TOOL_NAME, QUERY))
BESIDE = tool_calls((TOOL_NAME, QUERY)) | {"reasoning_content": None, "content": "<think>I could"}
# Turns that are read, though the model did not do what it should: the stop reason and the faults.
SPOKEN: dict[str, tuple[dict[str, Any], StopReason, list[str]]] = {
    "unknown tool": ill(ANSWERED, called("tea", "hm", name="search"), "unknown_tool"),
    "wrong types": ill(ANSWERED, WRONG, "wrong_type", "wrong_type"),
    "several calls": ill(ANSWERED, SEVERAL, "missing_query"),
    "arguments that are a list": ill(
        MALFORMED, tool_calls((TOOL_NAME, "[1]")), "malformed: tool call has no arguments object"
    ),
    "half a call": ill(MALFORMED, HALF, "malformed: tool call is not JSON"),
    "half a call, cut": ill(TRUNCATED, HALF | {"finish_reason": "length"}),
    "a call inside an open thought": ill(TRUNCATED, said(IN_TEXT)),
    "a call beside an open thought": ill(TRUNCATED, BESIDE),
    "nothing": ill(StopReason.EMPTY, said("")),
    "a huge answer": ill(ANSWERED, said(HUGE, "hm")),
    "a huge thought": ill(ANSWERED, said("Hot.", HUGE)),
    "a huge query": ill(ANSWERED, called(HUGE, "hm")),
}


@pytest.mark.parametrize("name", SPOKEN)
def test_what_a_model_says_is_classed(tmp_path: Path, name: str) -> None:
    message, stop, faults = SPOKEN[name]

    def script(messages: list[dict[str, Any]]) -> dict[str, Any]:
        return said("Fine.") if messages[-1]["role"] == "tool" else dict(message)

    with teacher(script) as server:
        ran = run(server, tmp_path, [job("p")])
    assert (ran.finished["p"].stop, ran.finished["p"].faults) == (stop, faults)
    assert ran.finished["p"].consulted is (name in ("several calls", "a huge query"))
    assert (ran.rejected, ran.failures) == ({}, {})


@pytest.mark.parametrize("seed", range(2))
def test_every_prompt_ends_in_one_of_the_two_files(tmp_path: Path, seed: int) -> None:
    """Sixty prompts, each with a fate of its own: some failures, then a turn, or failures to the end."""
    generator = random.Random(seed)
    lasting = {"http_400": Raw(400, b"no"), "http_422": Raw(422, b"no")}
    silent = {"timeout": Raw(silent=True)}
    spoken = [name for name in SPOKEN if not name.startswith("a huge")]
    fates: dict[str, tuple[list[tuple[str, Raw]], str]] = {}
    for i in range(60):
        failures = generator.choices(list((PASSING | silent).items()), k=generator.randint(0, ATTEMPTS - 1))
        if generator.random() < 0.2:
            failures.append(generator.choice(list(lasting.items())))
        elif generator.random() < 0.2:
            failures += generator.choices(list(PASSING.items()), k=ATTEMPTS - len(failures))
        fates[f"p{i:02}"] = failures, generator.choice(spoken)
    dealt: Counter[str] = Counter()

    def script(messages: list[dict[str, Any]]) -> dict[str, Any] | Raw:
        name = user_text(messages)
        failures, turn = fates[name]
        if messages[-1]["role"] == "tool":
            return said("Fine.")
        dealt[name] += 1  # one prompt has one request under way
        return failures[dealt[name] - 1][1] if dealt[name] <= len(failures) else dict(SPOKEN[turn][0])

    with teacher(script) as server:
        ran = run(server, tmp_path, (job(name) for name in fates), timeout=4.0)

    doomed = {
        name
        for name, (failures, _) in fates.items()
        if len(failures) == ATTEMPTS or (failures[-1:] and failures[-1][0] in lasting)
    }
    assert set(ran.rejected) == doomed
    assert set(ran.finished) == set(fates) - doomed
    for name, trajectory in ran.finished.items():
        _, stop, faults = SPOKEN[fates[name][1]]
        assert (trajectory.stop, trajectory.faults) == (stop, faults)
    for name, row in ran.rejected.items():
        assert (row["kind"], row["attempts"]) == (fates[name][0][-1][0].strip(), len(fates[name][0]))
    expected = Counter(kind.strip() for failures, _ in fates.values() for kind, _ in failures)
    assert ran.failures == expected | {"rejected": len(doomed)}
