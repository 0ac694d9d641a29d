"""The rollout loop: model turn, tool call, tool result, model turn, .. until an answer (ReAct, arXiv 2602.13562).

`advance` is the whole logic of one step and does no input or output; `rollout` drives it over a batch.
"""

from collections.abc import Sequence

from ascl.chat.bare_call import is_bare_call
from ascl.chat.messages import Message, Opening, StopReason, ToolCall, Trajectory
from ascl.chat.turn import MAX_CALLS, Turn
from ascl.consult.tool import TOO_MANY_CALLS, TOOL_NAME, ConsultTool, ToolResult
from ascl.models.sampling import Client, Sampling
from ascl.rules.edit import BookEdit

MAX_TURNS = 3


def start(
    prompt_id: str, messages: Sequence[Message], prefill: Opening | None = None, book: BookEdit | None = None
) -> Trajectory:
    """A trajectory that holds nothing but its prompt (and what the model's first turn begins with).

    book: how the rule book that its calls find differs from the tool's.
    """
    asked = list(messages)
    return Trajectory(prompt_id=prompt_id, messages=asked, prompt_length=len(asked), prefill=prefill, book=book)


def advance(trajectory: Trajectory, turn: Turn, tool: ConsultTool | None, max_turns: int = MAX_TURNS) -> bool:
    """Put one model turn into the trajectory, run its tool calls, and say whether the model must speak again.

    A turn that can't be read ends the trajectory (TRUNCATED or MALFORMED; a malformed turn is a fault as well). A call
    the tool rejects is a fault; the model sees the error and may try again. Without a tool, a call is a fault. Of a
    turn's calls the first MAX_CALLS are run and written down; that there were more is a fault. Calls of a turn that the
    budget cut are not run: there may have been more, and the turn lacks its end-of-turn token. A text that calls the
    tool without the dialect's markup is malformed: it is no answer.
    """
    spoken = sum(message.role == "assistant" for message in trajectory.completion) + 1
    calls = [
        ToolCall(id=f"call_{spoken}_{i}", name=c.name, arguments=c.arguments)
        for i, c in enumerate(turn.calls[:MAX_CALLS])
    ]
    trajectory.messages.append(
        Message(role="assistant", content=turn.content, reasoning_content=turn.thought, tool_calls=calls)
    )
    trajectory.tokens += turn.tokens
    stop, detail = turn.stop, turn.detail
    if stop is None and not calls and tool is not None and is_bare_call(turn.content, TOOL_NAME):
        stop, detail = (StopReason.MALFORMED if turn.ended else StopReason.TRUNCATED), "tool call without its markup"
    if stop is not None:
        trajectory.stop = stop
        if stop is StopReason.MALFORMED:
            trajectory.faults.append(f"malformed: {detail}")
    elif not calls:
        trajectory.stop = _ending(turn)
    elif not turn.ended:
        trajectory.stop = StopReason.TRUNCATED
    elif spoken >= max_turns:
        trajectory.stop = StopReason.TURN_LIMIT
    else:
        offered = tool.under(trajectory.book) if tool else None
        for call in calls:
            _execute(trajectory, call, offered)
        if len(turn.calls) > MAX_CALLS:
            trajectory.faults.append(TOO_MANY_CALLS)
        return True
    return False


def _ending(turn: Turn) -> StopReason:
    if not turn.content.strip():
        return StopReason.EMPTY if turn.ended else StopReason.TRUNCATED
    return StopReason.ANSWERED if turn.ended else StopReason.LENGTH


def _execute(trajectory: Trajectory, call: ToolCall, tool: ConsultTool | None) -> None:
    if tool is None:
        result = ToolResult("Error: there are no tools.", fault="unknown_tool")
    else:
        result = tool.call(call.name, call.arguments)
    if result.consultation is not None:
        trajectory.consultations.append(result.consultation)
    if result.fault is not None:
        trajectory.faults.append(result.fault)
    trajectory.messages.append(
        Message(role="tool", content=result.text, tool_call_id=call.id, error=result.consultation is None)
    )


def rollout(
    client: Client,
    trajectories: list[Trajectory],
    tool: ConsultTool | None,
    sampling: Sampling,
    max_turns: int = MAX_TURNS,
) -> list[Trajectory]:
    """Walk a batch of trajectories to their ends, in place, all of one turn at a time.

    The tool is offered to the model where one is given. Turn t samples with seed + t, so the outcome depends on the
    batch, the model and the seed only.
    """
    schemas = [tool.schema] if tool else []
    active = trajectories
    for number in range(max_turns):
        if not active:
            break
        turns = client.complete(active, schemas, sampling.model_copy(update={"seed": sampling.seed + number}))
        active = [t for t, turn in zip(active, turns, strict=True) if advance(t, turn, tool, max_turns)]
    return trajectories
