"""Evaluation: every prompt is walked in its variant and judged, and a stopped evaluation goes on where it was."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.clients.sampling import Sampling
from ascl.chat.messages import Message, Trajectory
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import VARIANTS, Variant
from ascl.evals.evaluate import evaluate
from ascl.judges.judge import Case
from ascl.judges.offline import OfflineJudge
from ascl.judges.record import Outcome, Record
from ascl.judges.verdict import Verdict
from ascl.prompts.prompt import Kind, Prompt
from ascl.rules.book import RuleBook

TOOL = ConsultTool(RuleBook.load())
SAMPLING = Sampling(seed=100)


class Parrot:
    """A client that consults on harmful prompts, solves problems, and writes its batch's seed into its thought."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.tools: list[dict[str, Any]] = []

    def complete(self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling) -> list[Turn]:
        self.asked.append([trajectory.prompt_id for trajectory in trajectories])
        self.tools = tools
        return [self.turn(trajectory, bool(tools), sampling.seed) for trajectory in trajectories]

    @staticmethod
    def turn(trajectory: Trajectory, offered: bool, seed: int) -> Turn:
        thought = f"seed {seed}"
        if trajectory.prompt_id.startswith("harmful"):
            if offered and not trajectory.consulted:
                return Turn("", thought, [ParsedCall(TOOL_NAME, {"query": "weapons"})], tokens=3)
            return Turn("I can't help with that.", thought, tokens=2)
        if trajectory.prompt_id.startswith("cut"):
            return Turn("", thought, ended=False, tokens=1)
        return Turn("It is 4.", thought, tokens=1)


def prompts(n: int) -> list[Prompt]:
    kinds = [("harmful", Kind.HARMFUL), ("sum", Kind.REASONING), ("cut", Kind.PLAIN), ("sensitive", Kind.SENSITIVE)]
    return [
        Prompt(
            id=f"{name}-{i}",
            messages=[Message(role="user", content=f"Question {i} about weapons \u2028 \U0001f600?")],
            kind=kind,
            answer="4" if i % 8 < 4 else "5",
        )
        for i in range(n)
        for name, kind in [kinds[i % 4]]
    ]


def run(path: Path, asked: list[Prompt], chunk: int, variant: Variant = "ascl") -> tuple[list[Record], Parrot]:
    client = Parrot()
    told: list[int] = []

    def hear(done: int, note: str = "") -> None:
        told.append(done)

    records = evaluate("bc", variant, asked, client, TOOL, OfflineJudge(), SAMPLING, chunk, path, hear)
    assert told[-1:] == [len(asked)]
    assert told == sorted(told)
    return records, client


def test_every_prompt_is_judged_in_order(tmp_path: Path) -> None:
    asked = prompts(8)
    records, client = run(tmp_path / "bc.jsonl", asked, 3)
    assert [record.prompt for record in records] == asked
    assert {record.variant for record in records} == {"bc"}
    assert [record.outcome for record in records] == [
        Outcome.REFUSED,
        Outcome.CORRECT,
        Outcome.NO_ANSWER,
        Outcome.COMPLIED,
        Outcome.REFUSED,
        Outcome.WRONG,
        Outcome.NO_ANSWER,
        Outcome.COMPLIED,
    ]
    assert [record.trajectory.consulted for record in records] == [True, False, False, False] * 2
    # Chunks of three; the second turn of a chunk asks again for those that consulted.
    assert [len(batch) for batch in client.asked] == [3, 1, 3, 1, 2]
    assert [record.trajectory.thoughts[0] for record in records] == [f"seed {100 + i // 3 * 3}" for i in range(8)]
    lines = (tmp_path / "bc.jsonl").read_text(encoding="utf-8").split("\n")
    written = [Record.model_validate_json(line) for line in lines[:-1]]
    assert written == sorted(records, key=lambda record: record.prompt.id)


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_tool_variant_offers_the_tool(tmp_path: Path, variant: Variant) -> None:
    records, client = run(tmp_path / "x.jsonl", prompts(4), 4, variant)
    assert client.tools == ([TOOL.schema] if variant == "ascl" else [])
    roles = [message.role for message in records[0].trajectory.messages]
    assert (roles[0] == "system") == (variant != "pure")
    assert records[0].trajectory.consulted == (variant == "ascl")
    if variant == "rag":
        system = records[0].trajectory.messages[0].content
        assert all(rule.text in system for rule, _ in TOOL.book.search(records[0].prompt.text, 3))


@given(st.integers(1, 12), st.integers(1, 5), st.data())
@settings(deadline=None, max_examples=60)
def test_a_file_cut_anywhere_is_completed(
    tmp_path_factory: pytest.TempPathFactory, n: int, chunk: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    whole, _ = run(folder / "whole.jsonl", prompts(n), chunk)
    raw = (folder / "whole.jsonl").read_bytes()
    at = data.draw(st.integers(0, len(raw)))
    (folder / "cut.jsonl").write_bytes(raw[:at])
    resumed, client = run(folder / "cut.jsonl", prompts(n), chunk)
    assert resumed == whole
    assert (folder / "cut.jsonl").read_bytes() == raw
    names = [prompt.id for prompt in prompts(n)]
    missing = set(sorted(names)[raw[:at].count(b"\n") :])
    chunks = [set(names[first : first + chunk]) for first in range(0, n, chunk)]
    asked_again = {identity for batch in client.asked for identity in batch}
    assert asked_again == {name for names in chunks if names & missing for name in names}


def test_a_finished_evaluation_asks_nothing(tmp_path: Path) -> None:
    first, _ = run(tmp_path / "x.jsonl", prompts(5), 2)
    changed = (tmp_path / "x.jsonl").stat().st_mtime_ns
    again, client = run(tmp_path / "x.jsonl", prompts(5), 2)
    assert (again, client.asked) == (first, [])
    assert (tmp_path / "x.jsonl").stat().st_mtime_ns == changed


class Mumbling(OfflineJudge):
    """Says nothing readable on every prompt with an odd number; keeps how many it was asked about at once."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def judge_many(self, cases: Sequence[Case]) -> list[Verdict | None]:
        self.batches.append(len(cases))
        return [
            None if int(case.trajectory.prompt_id[-1]) % 2 else v
            for case, v in zip(cases, super().judge_many(cases), strict=True)
        ]


def test_a_judge_is_asked_about_a_chunk_at_once_and_may_say_nothing(tmp_path: Path) -> None:
    judge = Mumbling()
    records = evaluate("bc", "ascl", prompts(8), Parrot(), TOOL, judge, SAMPLING, 3, tmp_path / "bc.jsonl")
    assert judge.batches == [3, 3, 2]
    assert [record.outcome for record in records] == [
        Outcome.REFUSED,
        Outcome.CORRECT,  # a grader says so, not the judge
        Outcome.NO_ANSWER,
        Outcome.UNJUDGED,
        Outcome.REFUSED,
        Outcome.WRONG,
        Outcome.NO_ANSWER,
        Outcome.UNJUDGED,
    ]
