"""What a person sees on the terminal: the table after a run, and a turn of a chat."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.messages import Message, StopReason, ToolCall, Trajectory
from ascl.cli.run import _print_best
from ascl.cli.show import COLUMNS, show_run
from ascl.cli.talk import _show
from ascl.evals.arms import ArmResult, RunResults
from ascl.progress import Screen
from ascl.run.config import RuleSettings, RunConfig
from ascl.stats import Estimate


def printed(trajectory: Trajectory) -> str:
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
    shown = printed(walk("let me check", "fake passport", "1. (42.6%) Forging.", "No [really]."))
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
    shown = printed(trajectory)
    assert shown.splitlines()[-1] == f"({stop.value}: malformed: tool call is not JSON)"
    assert "model" not in shown


@settings(deadline=None)
@given(st.text(st.sampled_from("a[]/\\b\n\x1b\x07\x9b=1m")), st.text(st.sampled_from("[bold]\\/x\x1b")))
def test_model_text_can_not_steer_the_terminal(answer: str, query: str) -> None:
    shown = printed(walk("t", query, "r", answer))
    assert {c for c in shown if not c.isprintable()} <= {"\n"}
    kept = "".join(c for c in answer if c == "\n" or c.isprintable())
    assert shown.endswith(f"model {kept}\n")
    assert f"consults: {''.join(c for c in query if c.isprintable())}\n" in shown


def run(figures: dict[str, dict[str, Estimate]], judge: str | None = None, warnings: Sequence[str] = ()) -> RunResults:
    """The results of a run with the figures of each arm; those that are not `pure` are trained."""
    arms = [ArmResult(name=name, trained=name != "pure", seeds=[3], figures=of) for name, of in figures.items()]
    facts = {"Judge": judge} if judge else {}
    return RunResults(name="r", headline="Nothing is settled.", arms=arms, facts=facts, warnings=list(warnings))


def test_the_table_has_a_row_for_each_arm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    known = dict.fromkeys(COLUMNS, Estimate(value=0.5, low=0.25, high=0.75, n=4))
    tokens = {"tokens": Estimate(value=50, low=25, high=75, n=4)}
    show_run(run({"pure": known | tokens, "bc": known | tokens | {"reasoning": Estimate()}}))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Nothing is settled."
    [pure] = [i for i, line in enumerate(lines) if "pure" in line]
    [cloned] = [i for i, line in enumerate(lines) if " bc " in line]
    assert lines[pure].count("50") == lines[pure + 1].count("25 to 75") == len(COLUMNS)
    assert lines[cloned].count("50") == lines[cloned + 1].count("25 to 75") == len(COLUMNS) - 1


def test_the_table_shows_what_no_figure_counts_and_warns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    whole = Estimate(value=0.5, low=0.25, high=0.75, n=4, no_answer=0.0, unjudged=0.0, unparsed=0.0)
    pure = dict.fromkeys(COLUMNS, whole)
    cloned = pure | {
        "safety": whole.model_copy(update={"unjudged": 0.125}),
        "reasoning": whole.model_copy(update={"unparsed": 0.005}),
    }
    said = "bc: 12.5 % of the answers are unjudged; the figure is over the others"
    show_run(run({"pure": pure, "bc": cloned}, "g", [said]))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines[:-2])) <= 80 and not any("…" in line for line in lines)
    assert [line.split() for line in lines[-6:-3]] == [["12.5", "%", "0.5", "%"], ["unjudged", "unparsed"], []]
    assert lines[-2] == "judge: g; of the answers to any figure at most unjudged 12.5 %, unparsed 0.5 %"
    assert lines[-1] == f"warning: {said}"


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        ({"pure": 0.9, "bc": 0.54, "grpo": 0.09, "ifpo": None}, ["bc", "54"]),
        ({"bc": 0.54, "grpo": 0.6, "ifpo": 0.6}, ["grpo", "60"]),
        ({"bc": None, "grpo": None, "ifpo": 0.0}, ["ifpo", "0"]),
        ({"bc": None, "grpo": None, "ifpo": None}, ["bc", None]),
        ({"pure": 0.9}, None),
    ],
)
def test_the_command_at_the_end_names_the_best_model(
    capsys: pytest.CaptureFixture[str], reached: dict[str, float | None], said: list[str | None] | None
) -> None:
    config = RunConfig(model="m", rules=RuleSettings(source="mine.csv", top_k=2))
    results = run({name: {"h_avg": Estimate(value=value)} for name, value in reached.items()})
    _print_best(results, config, Path("a run"))
    printed = capsys.readouterr().out.splitlines()
    if said is None:
        assert printed == [], "nothing is trained"
        return
    name, h_avg = said
    why = "no model has an H-avg" if h_avg is None else f"the highest H-avg of the trained models, {h_avg}"
    assert printed == [
        f"talk to {name} ({why}):",
        f"ascl chat --model 'a run/arms/{name}-3' --rules mine.csv --top-k 2",
    ]
