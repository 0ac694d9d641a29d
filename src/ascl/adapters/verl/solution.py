"""From verl's solution string back to a trajectory: the same turns are walked again through `advance`.

verl hands a reward function the whole response as one text: model turns and tool results, without special tokens. The
tool is deterministic, so each turn's calls are made again and what they give must be what the text goes on with. Text
that only looks like a result (the model wrote it itself) does not match, and the trajectory counts as malformed.
"""

from dataclasses import replace

from ascl.chat.messages import Message, StopReason, ToolCall, Trajectory
from ascl.chat.render import Renderer
from ascl.consult.rollout import MAX_TURNS, advance, start
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.load import question
from ascl.data.prompt import Prompt
from ascl.errors import InputError


def check_readable(renderer: Renderer) -> None:
    """Raise InputError where turns of the renderer's dialect can't be read without special tokens."""
    opens = renderer.dialect.opens
    if renderer.tokenizer.decode(renderer.ids(opens), skip_special_tokens=True).strip() != opens.strip():
        raise InputError(f"verl: dialect {renderer.dialect.name} writes thoughts with special tokens, which verl drops")


def trajectory_of(
    solution: str, prompt: Prompt, renderer: Renderer, tool: ConsultTool, max_turns: int = MAX_TURNS
) -> Trajectory:
    """The trajectory whose response, decoded without special tokens, is `solution`.

    What the text does not show stays unset: token ids and counts, and whether the budget cut the last turn. A cut
    answer therefore counts as answered (worth the same), a last turn of calls that nothing follows as truncated.
    """
    trajectory = start(prompt.id, with_rules("ascl", question(prompt), tool))
    opening = _opening(trajectory, renderer, tool)
    rest = solution
    while True:
        said, found, _ = rest.partition(opening)
        turn = renderer.dialect.parse(said, True)
        spoken = sum(message.role == "assistant" for message in trajectory.completion) + 1
        if not found and turn.calls and spoken < max_turns:
            turn = replace(turn, ended=False)
        going = advance(trajectory, turn, tool, max_turns)
        if not found:
            return trajectory
        results = _between(trajectory, renderer, tool) if going else ""
        rest = rest[len(said) :]
        if not going or not rest.startswith(results):
            if trajectory.stop in (None, StopReason.ANSWERED, StopReason.EMPTY):
                trajectory.stop = StopReason.MALFORMED
                trajectory.faults.append("malformed: a tool result that no call of this turn gave")
            return trajectory
        rest = rest[len(results) :]


def _between(trajectory: Trajectory, renderer: Renderer, tool: ConsultTool) -> str:
    """What stands between the last model turn and the next one, as the reward function gets to see it."""
    ids = renderer.suffix_ids(_as_verl_answers(trajectory.messages), [tool.schema])
    return renderer.tokenizer.decode(ids, skip_special_tokens=True).lstrip()


def _opening(trajectory: Trajectory, renderer: Renderer, tool: ConsultTool) -> str:
    """The text that opens every tool result."""
    probe = trajectory.model_copy(deep=True)
    call = ToolCall(id="probe", name=TOOL_NAME, arguments={})
    probe.messages += [
        Message(role="assistant", content="", tool_calls=[call]),
        Message(role="tool", content="RESULT", tool_call_id=call.id),
    ]
    return _between(probe, renderer, tool).partition("RESULT")[0]


def _as_verl_answers(messages: list[Message]) -> list[Message]:
    """The messages, a call of an unknown tool answered in verl's words: verl does not ask our tool about it."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    answered = []
    for message in messages:
        name = names.get(message.tool_call_id or "", TOOL_NAME)
        text = f"Unknown function '{name}'. Available tools: {[TOOL_NAME]}"
        answered.append(message if name == TOOL_NAME else message.model_copy(update={"content": text}))
    return answered
