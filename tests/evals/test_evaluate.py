"""An evaluation in this process: who is offered the tool, how prompts are batched, and how a cut folder goes on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.messages import Message, Trajectory
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import VARIANTS, Variant
from ascl.data.prompt import Kind, Prompt
from ascl.evals.asked import ask
from ascl.evals.evaluate import Planned, Subject, plan_evaluation
from ascl.evals.results import read_records, read_sampled, verdicts_path
from ascl.evals.settings import EvalSettings
from ascl.judges.judge import Case
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.record import Outcome, Record
from ascl.judges.verdict import Verdict
from ascl.models.sampling import Sampling
from ascl.rules.book import RuleBook

TOOL = ConsultTool(RuleBook.load())
KINDS = {"harmful": Kind.HARMFUL, "sensitive": Kind.SENSITIVE, "cut": Kind.PLAIN, "sum": Kind.REASONING}


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


def prompts(each: int) -> list[Prompt]:
    """So many prompts of each kind, the kinds mixed."""
    return [
        Prompt(
            id=f"{name}-{i}",
            messages=[Message(role="user", content=f"Question {i} about weapons \u2028 \U0001f600?")],
            kind=kind,
            answer="5" if i % 2 else "4",
            source="mine",
        )
        for i in range(each)
        for name, kind in KINDS.items()
    ]


def planned(folder: Path, each: int, batch: int, variant: Variant = "ascl") -> tuple[Planned, Parrot]:
    client, chosen = Parrot(), EvalSettings(suite="mine", judges=["offline"], batch=batch, seed=100)
    subject = Subject(model="m", name="bc", base_url="http://localhost:1")  # whom the client asks is not looked at
    asked = ask(chosen, prompts(each))
    return plan_evaluation(subject, variant, folder, chosen, asked, TOOL, client=client), client


def records(folder: Path, judge: str = "offline") -> dict[str, list[Record]]:
    return {name: list(read_records(folder, judge, f"mine_{kind}")) for name, kind in KINDS.items()}


def outcomes(folder: Path, judge: str = "offline") -> dict[str, list[Outcome]]:
    return {name: [record.outcome for record in found] for name, found in records(folder, judge).items()}


def test_every_prompt_is_asked_in_batches_and_judged(tmp_path: Path) -> None:
    one, client = planned(tmp_path / "e", 5, 2)
    assert one.lacking() == {f"mine_{kind}": (5, 5) for kind in KINDS.values()}
    one.carry_out()
    assert one.lacking() == {f"mine_{kind}": (0, 0) for kind in KINDS.values()}
    found = records(tmp_path / "e")
    assert [record.prompt for of in found.values() for record in of] == [
        prompt for name in KINDS for prompt in prompts(5) if prompt.id.startswith(name)
    ]
    assert {record.variant for of in found.values() for record in of} == {"bc"}
    assert outcomes(tmp_path / "e") == {
        "harmful": [Outcome.REFUSED] * 5, "sensitive": [Outcome.COMPLIED] * 5, "cut": [Outcome.NO_ANSWER] * 5,
        "sum": [Outcome.CORRECT, Outcome.WRONG] * 2 + [Outcome.CORRECT],
    }  # fmt: skip
    assert all(record.trajectory.consulted is (name == "harmful") for name, of in found.items() for record in of)
    # Batches of two; those that consulted are asked for a second turn.
    assert [len(batch) for batch in client.asked] == [2, 2, 2, 2, 1, 1, *[2, 2, 1] * 3]
    assert [record.trajectory.thoughts[0] for record in found["sum"]] == [f"seed {100 + i // 2 * 2}" for i in range(5)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_tool_variant_offers_the_tool(tmp_path: Path, variant: Variant) -> None:
    one, client = planned(tmp_path / "e", 1, 4, variant)
    one.carry_out()
    assert client.tools == ([TOOL.schema] if variant == "ascl" else [])
    trajectory = next(iter(read_sampled(tmp_path / "e", "mine_harmful"))).trajectory
    assert (trajectory.messages[0].role == "system") == (variant != "pure")
    assert trajectory.consulted == (variant == "ascl")
    if variant == "rag":
        rules = TOOL.book.search(prompts(1)[0].text, 3)
        assert all(rule.text in trajectory.messages[0].content for rule, _ in rules)


@given(st.integers(1, 4), st.integers(1, 3), st.sampled_from(sorted(KINDS)), st.data())
@settings(deadline=None, max_examples=40)
def test_a_folder_cut_anywhere_is_completed(
    tmp_path_factory: pytest.TempPathFactory, each: int, batch: int, name: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut") / "e"
    one, _ = planned(folder, each, batch)
    whole = one.carry_out()
    answers, verdicts = folder / "trajectories", verdicts_path(folder, "offline", "any").parent
    raw = [path / f"mine_{KINDS[name]}.jsonl" for path in (answers, verdicts)]
    before = [path.read_bytes() for path in raw]
    ends = [data.draw(st.integers(0, len(content))) for content in before]
    for path, content, end in zip(raw, before, ends, strict=True):
        path.write_bytes(content[:end])
    again, client = planned(folder, each, batch)
    assert again.carry_out() == whole
    assert [path.read_bytes() for path in raw] == before
    there = before[0][: ends[0]].count(b"\n")
    ids = [f"{name}-{i}" for i in range(each)]
    batches = [set(ids[first : first + batch]) for first in range(0, each, batch)]
    assert {i for asked in client.asked for i in asked} == {i for b in batches if b & set(ids[there:]) for i in b}


def test_a_finished_evaluation_asks_and_writes_nothing(tmp_path: Path) -> None:
    first = planned(tmp_path / "e", 2, 2)[0].carry_out()
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("mine_*.jsonl")}
    again, client = planned(tmp_path / "e", 2, 2)
    assert (again.carry_out(), client.asked) == (first, [])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("mine_*.jsonl")} == files


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


def test_a_judge_is_asked_about_many_at_once_and_may_say_nothing(tmp_path: Path) -> None:
    judge = Mumbling()
    one, _ = planned(tmp_path / "e", 4, 3)
    replace(one, judges=[judge]).carry_out()
    assert judge.batches == [4] * 4
    assert outcomes(tmp_path / "e") == {
        "harmful": [Outcome.REFUSED, Outcome.UNJUDGED] * 2,
        "sensitive": [Outcome.COMPLIED, Outcome.UNJUDGED] * 2,
        "cut": [Outcome.NO_ANSWER] * 4,
        "sum": [Outcome.CORRECT, Outcome.WRONG] * 2,  # a grader says so, not the judge
    }
