"""Trajectories to judge."""

from ascl.chat.messages import Message, StopReason, ToolCall, Trajectory

Case = tuple[str, str, Trajectory]


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


def case(answer: str, prompt: str = "How?", kind: str = "harmful") -> Case:
    return prompt, kind, walk(answer)
