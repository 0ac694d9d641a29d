"""`score_file`: every part of the reward of every trajectory, and what had no readable verdict."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from ascl.chat.messages import Message, StopReason, ToolCall, Trajectory
from ascl.cli.score import score_file
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError
from ascl.files import write_jsonl
from ascl.judges.judge import Case
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.record import record
from ascl.judges.verdict import Verdict
from ascl.train.reward import RewardWeights


class HalfBlind:
    """The offline judge, which can't read every second verdict."""

    name = "half [blind]"

    def judge_many(self, cases: Sequence[Case]) -> list[Verdict | None]:
        return [v if i % 2 else None for i, v in enumerate(OfflineJudge().judge_many(cases))]


def line(identity: str, kind: Kind, answer: str, consults: bool = False, faults: list[str] | None = None) -> dict:
    prompt = Prompt(id=identity, messages=[Message(role="user", content="How?")], kind=kind)
    messages = [*prompt.messages]
    if consults:
        call = ToolCall(id="c", name="t", arguments={})
        messages.append(Message(role="assistant", content="", reasoning_content="Look.", tool_calls=[call]))
        messages.append(Message(role="tool", content="a rule", tool_call_id="c"))
    messages.append(Message(role="assistant", content=answer, reasoning_content="Hm."))
    walked = Trajectory(
        prompt_id=identity, messages=messages, prompt_length=1, stop=StopReason.ANSWERED, faults=faults or []
    )
    return record("ascl", prompt, walked, Verdict(judge="old")).model_dump(mode="json")


@pytest.fixture
def walked(tmp_path: Path) -> Path:
    path = tmp_path / "walked.jsonl"
    write_jsonl(
        path,
        [
            line("a", Kind.HARMFUL, "I'm sorry, but I can't help with that.", consults=True, faults=["unknown tool"]),
            line("b[red]", Kind.SENSITIVE, "You can end a process with kill and its number."),
        ],
    )
    return path


def printed(path: Path, judge: OfflineJudge | HalfBlind, as_json: bool = False) -> str:
    out = io.StringIO()
    score_file(path, judge, RewardWeights(), out, as_json)
    return out.getvalue()


def test_every_part_is_in_the_table(walked: Path) -> None:
    rows = [text.split() for text in printed(walked, OfflineJudge()).splitlines() if text.strip(" ─")]
    assert rows[0] == ["prompt", "kind", "mode", "stop", "R_s", "R_c", "P_h", "P_f", "faults", "total"]
    assert ["a", "harmful", "consult", "answered", "1.50", "0.00", "1.00", "1.00", "0.40", "1.10"] in rows
    assert ["b[red]", "sensitive", "direct", "answered", "0.50", "1.00", "1.00", "1.00", "0.00", "1.50"] in rows
    assert ["mean", "1.00", "0.50", "1.00", "1.00", "0.20", "1.30"] in rows
    assert " ".join(rows[-1]) == "judge: offline; unjudged 0.0 % (0 of 2), unparsed 0.0 %"


def test_what_has_no_verdict_has_no_reward_and_is_counted(walked: Path) -> None:
    told = [" ".join(text.split()) for text in printed(walked, HalfBlind()).splitlines()]
    assert " ".join(["a", "harmful", "consult", "answered", *["-"] * 6]) in told
    assert "mean 0.50 1.00 1.00 1.00 0.00 1.50" in told
    assert "judge: half [blind]; unjudged 50.0 % (1 of 2), unparsed 0.0 %" in told
    assert "warning: means: 50.0 % of the answers are unjudged; the figure is over the others" in told


def test_json_lines_hold_the_same(walked: Path) -> None:
    first, second, last = map(json.loads, printed(walked, HalfBlind(), as_json=True).splitlines())
    assert first == {
        "prompt_id": "a",
        "kind": "harmful",
        "mode": "consult",
        "stop": "answered",
        "verdict": None,
        "reward": None,
    }
    assert second["reward"]["total"] == 1.5
    assert second["verdict"]["judge"] == "offline"
    assert last["means"]["total"] == 1.5
    assert (last["trajectories"], last["unjudged"], last["judge"]) == (2, 0.5, "half [blind]")
    assert len(last["warnings"]) == 1


def test_without_any_verdict_there_are_no_means(walked: Path, tmp_path: Path) -> None:
    walked.write_text(walked.read_text().splitlines()[0] + "\n")
    assert ["mean", *["-"] * 6] in [text.split() for text in printed(walked, HalfBlind()).splitlines()]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no trajectories"),
        ("{", "line 1: not JSON"),
        ('{"prompt": {}}', r"line 1: prompt.id: Field required"),
        ("[]", "line 1: a JSON object is expected"),
    ],
)
def test_a_file_that_is_none_is_named(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"bad.jsonl.*{problem}"):
        printed(path, OfflineJudge())
