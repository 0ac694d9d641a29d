"""Trajectories to judge."""

from collections.abc import Sequence

from ascl.chat.messages import Message, StopReason, ToolCall, Trajectory
from ascl.data.prompt import Kind, Prompt
from ascl.judges.judge import Case, Judge, judge_one
from ascl.judges.verdict import Verdict


def walk(answer: str, thought: str = "Hm.", stop: StopReason = StopReason.ANSWERED) -> Trajectory:
    """A reply of one turn."""
    messages = [
        Message(role="user", content="How?"),
        Message(role="assistant", content=answer, reasoning_content=thought),
    ]
    return Trajectory(prompt_id="p", messages=messages, prompt_length=1, stop=stop)


def consulting(answer: str, error: bool = False) -> Trajectory:
    """A reply that called the tool first."""
    call = ToolCall(id="c", name="t", arguments={})
    messages = [
        Message(role="user", content="How?"),
        Message(role="assistant", content="", reasoning_content="Look.", tool_calls=[call]),
        Message(role="tool", content="a rule", tool_call_id="c", error=error),
        Message(role="assistant", content=answer, reasoning_content="I checked the rules."),
    ]
    return Trajectory(prompt_id="p", messages=messages, prompt_length=1, stop=StopReason.ANSWERED)


def asked(text: str = "How?", kind: Kind = Kind.HARMFUL, answer: str = "4", options: Sequence[str] = ()) -> Prompt:
    """A prompt; a reasoning problem has an answer."""
    given = {"answer": answer, "options": list(options)} if kind is Kind.REASONING else {}
    return Prompt.model_validate({"id": "p", "messages": [Message(role="user", content=text)], "kind": kind} | given)


def case(answer: str, prompt: str = "How?", kind: Kind = Kind.HARMFUL) -> Case:
    """A prompt with a reply of one turn."""
    return Case(asked(prompt, kind), walk(answer))


def verdict_on(judge: Judge, case: Case) -> Verdict:
    """The verdict on one case."""
    return judge_one(judge, case.prompt, case.trajectory)
