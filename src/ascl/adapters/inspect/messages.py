"""Between Inspect's messages and ours: what a model is sent, how its output is read as a turn, and the way back.

An output is read by the function that reads a server's chat completion (`models/completion.py`), so that the
same situation gets the same stop reason. What Inspect's own reading has changed before is listed in docs/inspect.md.
"""

from dataclasses import asdict
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    Content,
    ContentReasoning,
    ContentText,
    ModelOutput,
)
from inspect_ai.tool import ToolCall as InspectCall
from inspect_ai.tool import ToolInfo, ToolParams

from ascl.chat import inline_thought
from ascl.chat.messages import Message, StopReason, ToolCall
from ascl.chat.neutralise import neutralise, neutralise_message
from ascl.chat.turn import ParsedCall, Turn
from ascl.models.completion import read_turn

TURN = "ascl_turn"  # where an output of our own model API keeps the turn as it was parsed
_KEYS = ("reasoning", "reasoning_content")  # under which servers send a thought, and take it back


def tool_info(schema: dict[str, Any]) -> ToolInfo:
    """A tool as Inspect offers it to a model; `schema_of` gives the same schema back."""
    function = schema["function"]
    parameters = ToolParams.model_validate(function["parameters"] | {"additionalProperties": None})
    return ToolInfo(name=function["name"], description=function["description"], parameters=parameters)


def schema_of(tool: ToolInfo) -> dict[str, Any]:
    """The schema that chat templates and servers take."""
    parameters = tool.parameters.model_dump(exclude_none=True)
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }


def to_inspect(message: Message, output: ModelOutput | None = None) -> ChatMessage:
    """A message as it is sent: its texts neutralised, since the server applies a chat template to them.

    A message of the model keeps the id of the output it came with, and its thought goes back under the key the server
    uses, or as it is where the server has signed it.
    """
    clean = neutralise_message(message)
    if message.role == "system":
        return ChatMessageSystem(content=clean.content)
    if message.role == "user":
        return ChatMessageUser(content=clean.content)
    if message.role == "tool":
        return ChatMessageTool(content=clean.content, tool_call_id=clean.tool_call_id)
    thoughts: list[Content] = list(map(_sent_back, _reasoning(output)))
    if not thoughts and clean.reasoning_content is not None:
        thoughts = [ContentReasoning(reasoning=clean.reasoning_content, internal="reasoning_content")]
    text: list[Content] = [ContentText(text=clean.content)] if clean.content else []
    return ChatMessageAssistant(
        id=output.message.id if output and not output.empty else None,
        content=thoughts + text if thoughts else clean.content,
        tool_calls=[InspectCall(id=c.id, function=c.name, arguments=c.arguments) for c in clean.tool_calls] or None,
    )


def from_inspect(message: ChatMessage) -> Message:
    """A message of any solver as ours."""
    calls: list[ToolCall] = []
    thought = None
    if isinstance(message, ChatMessageAssistant):
        calls = [ToolCall(id=c.id, name=c.function, arguments=c.arguments) for c in message.tool_calls or []]
        thought = "\n".join(part.reasoning for part in message.content_list if isinstance(part, ContentReasoning))
    return Message(
        role=message.role,
        content=message.text,
        reasoning_content=thought or None,
        tool_calls=calls,
        tool_call_id=message.tool_call_id if isinstance(message, ChatMessageTool) else None,
    )


def read_output(output: ModelOutput) -> Turn:
    """The turn in a model's output. One of our own model API is as it was parsed there.

    Raises RequestFailed where the turn was broken off (a content filter, an error of the server).
    """
    if output.metadata and TURN in output.metadata:
        return _parsed(output.metadata[TURN])
    if output.empty:
        return Turn("")
    choice = output.choices[0]
    thought, content = _said(output)
    message = {
        "content": content,
        "reasoning": thought,
        "tool_calls": [
            # what Inspect could not parse stands in the error, which is no JSON either
            {"function": {"name": call.function, "arguments": call.parse_error or call.arguments}}
            for call in choice.message.tool_calls or []
        ],
    }
    tokens = output.usage.output_tokens if output.usage else None
    return read_turn(
        {"choices": [{"message": message, "finish_reason": choice.stop_reason}], "usage": {"completion_tokens": tokens}}
    )


def _said(output: ModelOutput) -> tuple[str | None, str]:
    """The thought and the content of an output, as a server would have sent them.

    Inspect turns a server's error about too long a prompt into an output without usage: those are no words of the
    model, and are left out.
    """
    choice = output.choices[0]
    if output.usage is None and choice.stop_reason == "model_length":
        return None, ""
    text = "\n".join(part.text for part in choice.message.content_list if isinstance(part, ContentText))
    thoughts = _reasoning(output)
    if not thoughts:
        return None, text
    thought = "\n".join((part.summary or "") if part.redacted else part.reasoning for part in thoughts)
    if thoughts[0].internal != "think":
        return thought, text
    # Inspect took the thought out of the text. Where nothing else was there, it leaves the whole text besides.
    if inline_thought.split(text)[:2] == (thought, ""):
        return None, text
    return None, inline_thought.join(thought, text)


def _reasoning(output: ModelOutput | None) -> list[ContentReasoning]:
    if output is None or output.empty:
        return []
    return [part for part in output.message.content_list if isinstance(part, ContentReasoning)]


def _sent_back(part: ContentReasoning) -> ContentReasoning:
    if part.signature or part.redacted:
        return part
    key = part.internal if part.internal in _KEYS else "reasoning_content"
    return ContentReasoning(reasoning=neutralise(part.reasoning), internal=key)


def output_content(turn: Turn) -> str | list[Content]:
    """The content of a turn for Inspect: the thought apart, where there is one."""
    if turn.thought is None:
        return turn.content
    return [ContentReasoning(reasoning=turn.thought, internal="reasoning_content"), ContentText(text=turn.content)]


def kept(turn: Turn) -> dict[str, Any]:
    """The metadata of an output that carries its turn."""
    return {TURN: asdict(turn)}


def _parsed(fields: dict[str, Any]) -> Turn:
    calls = [ParsedCall(**call) for call in fields["calls"]]
    stop = None if fields["stop"] is None else StopReason(fields["stop"])
    return Turn(**fields | {"calls": calls, "stop": stop})
