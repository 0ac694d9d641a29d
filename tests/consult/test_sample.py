"""Sampling to a file: a run that was killed at any byte goes on to the same file."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.clients.sampling import Sampling
from ascl.chat.messages import Message, Trajectory
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.sample import sample_to
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.errors import InputError
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule

TOOL = ConsultTool(RuleBook([Rule(id="tea.cold", category="tea", title="Tea", text="Serving cold tea.")]))
ITEMS = [(f"p{i}", [Message(role="user", content=f"tea {i} \u2028 é")]) for i in range(10)]


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


def row(index: int, trajectory: Trajectory) -> dict[str, Any]:
    return {"index": index, "consulted": trajectory.consulted, "trajectory": trajectory.model_dump(mode="json")}


def sample(path: Path, client: Echo, items: list[tuple[str, list[Message]]] = ITEMS, chunk: int = 4) -> list[Any]:
    return sample_to(path, client, items, TOOL, Sampling(seed=5), chunk, row)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "rows.jsonl"
    sample(path, Echo())
    return path.read_bytes()


def test_every_item_gets_its_row_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    rows = sample(path, Echo())
    assert [r["index"] for r in rows] == list(range(10))
    assert [r["trajectory"]["prompt_id"] for r in rows] == [name for name, _ in ITEMS]
    assert [r["consulted"] for r in rows] == [i % 3 == 0 for i in range(10)]
    assert [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] == rows


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_file_torn_at_any_byte_is_made_whole(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(whole)))
    path = tmp_path_factory.mktemp("torn") / "rows.jsonl"
    path.write_bytes(whole[:cut])
    client = Echo()
    rows = sample(path, client)
    assert path.read_bytes() == whole
    assert [r["index"] for r in rows] == list(range(10))
    kept = whole[:cut].count(b"\n")
    kept = 10 if kept == 10 else kept // 4 * 4
    assert sorted(set(client.asked)) == [name for name, _ in ITEMS[kept:]], "whole chunks are not sampled again"


@pytest.mark.parametrize("turns", range(7))
def test_a_run_killed_between_turns_goes_on(tmp_path: Path, whole: bytes, turns: int) -> None:
    path = tmp_path / "rows.jsonl"
    if turns < 6:
        with pytest.raises(Killed):
            sample(path, Echo(turns))
    sample(path, Echo())
    assert path.read_bytes() == whole


def test_a_run_killed_over_and_over_goes_on(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    for _ in range(2):
        with pytest.raises(Killed):
            sample(path, Echo(2))
    sample(path, Echo(2))
    assert path.read_bytes() == whole


def test_a_finished_file_is_read_and_nothing_is_sampled(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(whole)
    client = Echo()
    rows = sample(path, client)
    assert (client.asked, path.read_bytes()) == ([], whole)
    assert rows == [json.loads(line) for line in whole.split(b"\n")[:-1]]


def test_a_list_that_grew_keeps_its_whole_chunks(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    sample(path, Echo(), ITEMS[:8])
    client = Echo()
    sample(path, client)
    assert path.read_bytes() == whole
    assert sorted(set(client.asked)) == ["p8", "p9"]


@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_a_list_that_shrank_leaves_no_row_behind(tmp_path: Path, whole: bytes, count: int) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(whole)
    rows = sample(path, Echo(), ITEMS[:count])
    assert [r["index"] for r in rows] == list(range(count))
    assert path.read_bytes().count(b"\n") == count


def test_no_items_no_rows(tmp_path: Path) -> None:
    assert sample(tmp_path / "rows.jsonl", Echo(), []) == []


def test_progress_counts_what_is_done_already(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:6]) + b'{"torn')
    heard: list[int] = []
    sample_to(path, Echo(), ITEMS, TOOL, Sampling(seed=5), 4, row, heard.append)
    assert heard == [4, 8, 10]


def test_a_damaged_line_is_named(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    lines = whole.splitlines(keepends=True)
    path.write_bytes(lines[0] + b"damage\n" + lines[2])
    with pytest.raises(InputError, match=r"rows\.jsonl, line 2"):
        sample(path, Echo())
