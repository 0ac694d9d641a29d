"""Sampling to a file in process: a run that was killed at any byte goes on to the same file."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.messages import Message, Opening, Trajectory
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.errors import InputError
from ascl.models.sampling import Sampling
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule
from ascl.sampling.to_file import Budget, BudgetSpent, Job, sample_to, trajectory_rows

TOOL = ConsultTool(RuleBook([Rule(id="tea.cold", category="tea", title="Tea", text="Serving cold tea.")]))
JOBS = [Job(f"p{i}", [Message(role="user", content=f"tea {i} \u2028 é")]) for i in (3, 0, 1, 2, 8, 5, 4, 6, 9, 7)]
NAMES = [job.id for job in JOBS]
CHUNKS = [set(NAMES[:4]), set(NAMES[4:8]), set(NAMES[8:])]


class Killed(Exception):
    """Stands for the end of the process."""


class Echo:
    """A client whose turn depends on all it is given: the batch, the sampling seed and the messages."""

    def __init__(self, turns: int = 10**9) -> None:
        self.turns = turns
        self.asked: list[str] = []

    def complete(self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling) -> list[Turn]:
        if not self.turns:
            raise Killed
        self.turns -= 1
        self.asked += [t.prompt_id for t in trajectories]
        batch = ",".join(t.prompt_id for t in trajectories)
        return [
            Turn("", "hm", [ParsedCall(TOOL_NAME, {"query": "tea"})], tokens=3)
            if int(t.prompt_id[1:]) % 3 == 0 and not t.completion
            else Turn(f"{t.messages[0].content} of {batch} with {sampling.seed}, {len(t.messages)} before", tokens=2)
            for t in trajectories
        ]


def asked_and_walked(walked: Sequence[tuple[Job, Trajectory]]) -> list[dict[str, Any]]:
    return [{"asked": job.messages[0].content, "trajectory": t.model_dump(mode="json")} for job, t in walked]


def sample(path: Path, client: Echo, jobs: list[Job] = JOBS, chunk: int = 4) -> list[Any]:
    sample_to(path, client, jobs, TOOL, Sampling(seed=5), asked_and_walked, chunk)
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def ids(rows: list[Any]) -> list[str]:
    return [row["trajectory"]["prompt_id"] for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "rows.jsonl"
    sample(path, Echo())
    return path.read_bytes()


def test_every_job_gets_its_row_and_the_rows_are_sorted(tmp_path: Path) -> None:
    rows = sample(tmp_path / "new" / "rows.jsonl", Echo())
    assert ids(rows) == sorted(NAMES)
    assert [r["asked"] for r in rows] == [r["trajectory"]["messages"][0]["content"] for r in rows]
    for r in rows:
        trajectory = Trajectory.model_validate(r["trajectory"])
        number = NAMES.index(trajectory.prompt_id) // 4
        assert trajectory.consulted is (int(trajectory.prompt_id[1:]) % 3 == 0)
        batch = [
            name for name in NAMES[4 * number : 4 * number + 4] if not trajectory.consulted or int(name[1:]) % 3 == 0
        ]
        seed = 5 + 4 * number + trajectory.consulted
        assert f" of {','.join(batch)} with {seed}, " in (trajectory.answer or ""), "a chunk is one batch with its seed"


def test_the_row_is_the_trajectory_where_no_other_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    sample_to(path, Echo(), iter(JOBS), None, Sampling())
    rows = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    assert ids(rows) == sorted(NAMES)
    assert {key for r in rows for key in r} == {"trajectory"}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_torn_at_any_byte_is_made_whole(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    lines = data.draw(st.permutations(whole.splitlines(keepends=True)))
    raw = b"".join(lines)
    cut = data.draw(st.integers(0, len(raw)))
    path, client = tmp_path_factory.mktemp("torn") / "rows.jsonl", Echo()
    path.write_bytes(raw[:cut])
    sample(path, client)
    assert path.read_bytes() == whole
    missing = set(NAMES) - {json.loads(line)["trajectory"]["prompt_id"] for line in lines[: raw[:cut].count(b"\n")]}
    assert set(client.asked) == {name for chunk in CHUNKS if chunk & missing for name in chunk}


@pytest.mark.parametrize("killed", [(), *((turns,) for turns in range(6)), (2, 2)])
def test_a_run_killed_between_turns_goes_on(tmp_path: Path, whole: bytes, killed: tuple[int, ...]) -> None:
    path = tmp_path / "rows.jsonl"
    for turns in killed:
        with pytest.raises(Killed):
            sample(path, Echo(turns))
    sample(path, Echo(2 if len(killed) == 2 else 6))
    assert path.read_bytes() == whole


@pytest.mark.parametrize("jobs", [JOBS, JOBS[:3]], ids=["finished", "a list that shrank"])
def test_what_is_there_is_not_sampled_again(tmp_path: Path, whole: bytes, jobs: list[Job]) -> None:
    path, client = tmp_path / "rows.jsonl", Echo()
    path.write_bytes(whole)
    changed = path.stat().st_mtime_ns
    sample(path, client, jobs)
    assert (client.asked, path.read_bytes(), path.stat().st_mtime_ns) == ([], whole, changed)


def test_a_list_that_grew_keeps_what_is_there(tmp_path: Path, whole: bytes) -> None:
    path, client = tmp_path / "rows.jsonl", Echo()
    sample(path, Echo(), JOBS[:8])
    sample(path, client)
    assert path.read_bytes() == whole
    assert set(client.asked) == CHUNKS[2]


def test_no_jobs_give_no_rows_and_an_id_that_comes_twice_is_an_error(tmp_path: Path) -> None:
    assert sample(tmp_path / "none.jsonl", Echo(), []) == []
    with pytest.raises(InputError, match="prompt p3: this id is there twice"):
        sample(tmp_path / "rows.jsonl", Echo(), [*JOBS, JOBS[0]])


def test_jobs_are_taken_a_chunk_at_a_time(tmp_path: Path) -> None:
    client, taken = Echo(), []

    def lazily() -> Iterator[Job]:
        for job in JOBS:
            taken.append((job.id, len(set(client.asked))))
            yield job

    sample_to(tmp_path / "rows.jsonl", client, lazily(), TOOL, Sampling(), chunk=4)
    assert taken == [(name, i // 4 * 4) for i, name in enumerate(NAMES)]


def test_progress_counts_what_is_done_already(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    lines = {json.loads(line)["trajectory"]["prompt_id"]: line for line in whole.splitlines(keepends=True)}
    path.write_bytes(b"".join(lines[name] for name in NAMES[:6]) + b'{"torn')
    heard: list[int] = []

    def hear(done: int, note: str = "") -> None:
        heard.append(done)

    sample_to(path, Echo(), JOBS, TOOL, Sampling(seed=5), asked_and_walked, 4, progress=hear)
    assert heard == [6, 8, 10]
    assert path.read_bytes() == whole


def test_a_damaged_line_is_named(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    lines = whole.splitlines(keepends=True)
    path.write_bytes(lines[0] + b"damage\n" + lines[2])
    with pytest.raises(InputError, match=r"rows\.jsonl, line 2"):
        sample(path, Echo())


def under(path: Path, budget: Budget, client: Echo, chunk: int = 4, max_tokens: int = 3) -> None:
    sampling = Sampling(seed=5, max_tokens=max_tokens)
    sample_to(path, client, JOBS, TOOL, sampling, asked_and_walked, chunk, budget=budget)


@pytest.mark.parametrize("most", [3, 4, 7, 9, 13])
def test_a_budget_of_requests_holds_in_process_and_the_same_call_goes_on(tmp_path: Path, most: int) -> None:
    """Ten prompts, fourteen turns. The file is that of a run whose budget was enough, with batches of the same size."""
    path, done, runs = tmp_path / "rows.jsonl", 0, 0
    while True:
        client, runs = Echo(), runs + 1
        try:
            under(path, Budget(requests=most), client)
            break
        except BudgetSpent as error:
            now = len(path.read_bytes().splitlines())
            told = f"the budget of {most} requests is spent: {now} prompts are finished; the same command goes on"
            assert str(error) == told
            assert now > done, "every run comes further"
            assert len(client.asked) <= most
            done = now
        assert len(client.asked) <= most
    assert runs > 1
    under(tmp_path / "whole.jsonl", Budget(), Echo(), chunk=min(4, most // 3))
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_budget_of_tokens_holds_in_process(tmp_path: Path) -> None:
    """Two or three tokens a turn; a batch may overrun the budget by its last turn."""
    path, budget = tmp_path / "rows.jsonl", Budget(tokens=11)
    with pytest.raises(BudgetSpent, match="the budget of 11 tokens is spent: 3 prompts are finished"):
        under(path, budget, Echo())
    assert 11 <= budget.spent_tokens < 11 + 3
    with pytest.raises(BudgetSpent):
        under(path, budget, client := Echo())
    assert client.asked == [], "what was spent counts over all calls"
    under(path, Budget(), Echo(), chunk=1)
    assert len(path.read_bytes().splitlines()) == len(JOBS)


def test_no_budget_is_shared_by_calls_that_name_none(tmp_path: Path) -> None:
    for name in ("a", "b"):
        sample_to(tmp_path / name, Echo(), JOBS, TOOL, Sampling(), asked_and_walked)
    with pytest.raises(BudgetSpent):
        under(tmp_path / "c", Budget(requests=5), Echo())


@pytest.mark.parametrize("prefill", [None, Opening(), Opening("I should check."), Opening("Fine.", closed=True)])
def test_a_prefill_begins_the_first_turn(tmp_path: Path, tiny_model: Path, prefill: Opening | None) -> None:
    """With a real model: its ids follow the prompt's with mask 0, and the turn is read from both."""
    from ascl.models.in_process import InProcessClient
    from ascl.models.models import load_model, load_renderer

    client = InProcessClient(load_model(str(tiny_model), "float32"), load_renderer(str(tiny_model)))
    walked: list[Trajectory] = []

    def keep(batch: Sequence[tuple[Job, Trajectory]]) -> list[dict[str, Any]]:
        walked.extend(trajectory for _, trajectory in batch)
        return trajectory_rows(batch)

    job = Job("p", [Message(role="user", content="How do I serve tea?")], prefill)
    sample_to(tmp_path / "rows.jsonl", client, [job], None, Sampling(max_tokens=8), keep)
    [trajectory] = walked
    begun = client.renderer.opening_text(prefill) if prefill else ""
    given = client.renderer.ids(begun)
    assert trajectory.prompt_ids == client.renderer.prompt_ids(job.messages, [])
    assert trajectory.completion_ids[: len(given)] == given
    sampled = trajectory.completion_ids[len(given) :]
    assert trajectory.completion_mask == [0] * len(given) + [1] * len(sampled)
    assert trajectory.tokens == len(sampled) == 8
    text, ended = client.renderer.parse_ids(sampled)
    turn = client.renderer.dialect.parse(begun + text, ended)
    said = trajectory.messages[-1]
    assert (said.content, said.reasoning_content) == (turn.content, turn.thought)
    assert "prefill" not in trajectory.model_dump()
