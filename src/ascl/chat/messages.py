"""The words of a conversation: messages, tool calls, and the trajectory one rollout leaves behind.

Everything here is plain data (pydantic), written to JSONL as it stands. Messages follow the OpenAI chat format; the
thought is kept under `reasoning_content`, the key that TRL, vLLM and the Qwen3 template read.
"""

import json
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ascl.errors import InputError, first_problem
from ascl.rules.edit import BookEdit
from ascl.rules.rule import with_exemptions

# Fields of OpenAI's messages that say nothing a chat template would write: who speaks, sources of the answer.
UNWRITTEN = ("name", "annotations")

Role = Literal["system", "user", "assistant", "tool"]


class ToolCall(BaseModel):
    """One call of a tool by the model. `arguments` is the parsed JSON object."""

    model_config = ConfigDict(extra="forbid")

    id: str
    name: str
    arguments: dict[str, Any]


class Message(BaseModel):
    """One turn of a conversation. `error` marks a tool message that reports a fault instead of a result."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    content: str
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] = Field(default_factory=list)
    tool_call_id: str | None = None
    error: bool = False

    def for_template(self) -> dict[str, Any]:
        """The form chat templates expect: tool arguments as an object, absent fields left out."""
        message: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.reasoning_content is not None:
            message["reasoning_content"] = self.reasoning_content
        if self.tool_calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in self.tool_calls
            ]
        if self.tool_call_id is not None:
            message["tool_call_id"] = self.tool_call_id
        return message

    def for_openai(self) -> dict[str, Any]:
        """The form an OpenAI-compatible server expects: tool arguments as a JSON string."""
        message = self.for_template()
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
        return message


def messages_of(value: Any) -> list[Message]:
    """The messages of a row (see `message_of`). Raises InputError naming the message and the field at fault."""
    if not isinstance(value, list) or not all(isinstance(message, dict) for message in value):
        raise InputError("messages: a list of messages is expected")
    messages = []
    for number, message in enumerate(value):
        try:
            messages.append(message_of(message))
        except InputError as error:
            raise InputError(f"messages.{number}.{error}") from error
    return messages


def message_of(row: dict[str, Any]) -> Message:
    """A `Message` from its template form (`Message.for_template`), as training rows hold it, or from OpenAI's own form.

    In OpenAI's form a turn that calls or refuses has no content, texts may be lists of parts, tool arguments are JSON
    text, and fields that no chat template writes stand beside (`UNWRITTEN`). A field that is null counts as absent:
    Arrow and Parquet fill in whatever other rows have. So do arguments that are null. `developer` is the newer name of
    the role `system`, `reasoning` of `reasoning_content`.

    Raises InputError where it is no message, or holds what training would lose (an image, audio, a custom tool).
    """
    fields = {key: value for key, value in row.items() if value is not None and key not in UNWRITTEN}
    if "function_call" in fields:
        raise InputError("function_call: OpenAI's older form of a call; write it as `tool_calls`")
    if fields.pop("weight", 1) != 1:
        raise InputError("weight: a turn that is not learnt from can't be marked; leave the row out")
    content, refusal = _text(fields.get("content", "")), fields.pop("refusal", "")
    calls = _calls(fields.get("tool_calls", []))
    if not isinstance(refusal, str) or (refusal and content):
        raise InputError("refusal: a text in the place of the content is expected")
    if "content" not in fields and not (refusal or calls or fields.get("role") == "tool"):
        raise InputError("content: it is missing")
    if "reasoning" in fields:
        fields.setdefault("reasoning_content", fields.pop("reasoning"))
    if fields.get("role") == "developer":
        fields["role"] = "system"
    try:
        return Message.model_validate(fields | {"content": refusal or content, "tool_calls": calls})
    except ValidationError as error:
        raise InputError(first_problem(error)) from error


def _text(content: Any) -> Any:
    """The text of a content, its parts joined."""
    if not isinstance(content, list):
        return content
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get(kind) if kind in ("text", "refusal") else None
        if not isinstance(text, str):
            raise InputError(f"content: parts are texts, and a part of type {kind} is none")
        texts.append(text)
    return "".join(texts)


def _calls(calls: Any) -> list[ToolCall]:
    if not isinstance(calls, list):
        raise InputError("tool_calls: a list is expected")
    return [_call(number, call) for number, call in enumerate(calls)]


def _call(number: int, call: Any) -> ToolCall:
    where = f"tool_calls.{number}"
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or "arguments" not in function:
        raise InputError(f"{where}: a tool call in OpenAI's form has a `function` with `name` and `arguments`")
    arguments = function["arguments"]
    try:
        for _ in range(2):  # some servers encode them twice
            if isinstance(arguments, str):
                arguments = json.loads(arguments.strip() or "{}")
        arguments = {} if arguments is None else without_nulls(arguments)
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: the arguments of this tool call are not JSON ({error})") from error
    if not isinstance(arguments, dict):
        raise InputError(f"{where}: the arguments of this tool call are no JSON object")
    try:
        return ToolCall(id=call.get("id") or f"call_{number}", name=function["name"], arguments=arguments)
    except ValidationError as error:
        raise InputError(f"{where}: {first_problem(error)}") from error


def without_nulls(value: Any, depth: int = 32) -> Any:
    """A JSON value without the fields that are null, at any depth. Raises ValueError where it is nested deeper."""
    if depth < 0:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {key: without_nulls(item, depth - 1) for key, item in value.items() if item is not None}
    return [without_nulls(item, depth - 1) for item in value] if isinstance(value, list) else value


class StopReason(StrEnum):
    """Why a trajectory ended. Only ANSWERED and LENGTH leave an answer to judge."""

    ANSWERED = "answered"  # the model ended its turn with an answer
    LENGTH = "length"  # the token budget ended inside the answer
    TRUNCATED = "truncated"  # the token budget ended inside an open thought or tool call
    EMPTY = "empty"  # the turn ended without an answer
    MALFORMED = "malformed"  # a tool call that does not parse, or a forged marker in the model's own text
    TURN_LIMIT = "turn_limit"  # the model went on calling tools


def _is_absent(value: object) -> bool:
    return not value  # not written: most records have none


class RuleHit(BaseModel):
    """One rule as the consult tool returned it, with its exemptions where they were shown; similarity is in [0, 1]."""

    model_config = ConfigDict(extra="forbid")

    id: str
    text: str
    similarity: float
    exempt: str = Field(default="", exclude_if=_is_absent)

    @property
    def shown(self) -> str:
        """What a model reads (see `with_exemptions`)."""
        return with_exemptions(self.text, self.exempt)


class Consultation(BaseModel):
    """One successful look-up of the rule book."""

    model_config = ConfigDict(extra="forbid")

    query: str
    top_k: int
    hits: list[RuleHit]


class Opening(NamedTuple):
    """What a model turn is given to begin with: a thought, open for the model to go on with, or closed.

    The dialect (in process) or the convention of servers (`inline_thought.py`) writes it; the thought is text, in which
    every marker is broken.
    """

    thought: str = ""
    closed: bool = False


class Trajectory(BaseModel):
    """One prompt's walk: its messages, what was consulted, the faults on the way, and why it ended.

    `messages[:prompt_length]` is the prompt; the rest is the completion. The token fields are filled by in-process
    clients only: `completion_mask` is 1 for tokens the model sampled (its end-of-turn token included), else 0.
    `prefill` is what the first model turn begins with. `book` is how the rule book differs from the tool's.
    """

    model_config = ConfigDict(extra="forbid")

    prompt_id: str
    messages: list[Message]
    prompt_length: int
    stop: StopReason | None = None
    consultations: list[Consultation] = Field(default_factory=list)
    faults: list[str] = Field(default_factory=list)
    book: BookEdit | None = Field(default=None, exclude_if=_is_absent)
    prefill: Opening | None = Field(default=None, exclude=True)
    prompt_ids: list[int] = Field(default_factory=list, exclude=True)
    completion_ids: list[int] = Field(default_factory=list, exclude=True)
    completion_mask: list[int] = Field(default_factory=list, exclude=True)
    logprobs: list[float] = Field(default_factory=list, exclude=True)
    tokens: int = 0  # tokens the model generated, over all turns

    @model_validator(mode="after")
    def _whole(self) -> "Trajectory":
        if not 0 <= self.prompt_length <= len(self.messages):
            raise ValueError("prompt_length exceeds the messages")
        answered = self.stop in (StopReason.ANSWERED, StopReason.LENGTH)
        if answered and (not self.completion or self.completion[-1].role != "assistant"):
            raise ValueError("it ended in an answer, but its last message is none")
        return self

    @property
    def completion(self) -> list[Message]:
        """The messages after the prompt."""
        return self.messages[self.prompt_length :]

    @property
    def opening(self) -> Opening | None:
        """What the next model turn begins with: the prefill until the model has spoken, then nothing."""
        return None if self.completion else self.prefill

    @property
    def consulted(self) -> bool:
        """Whether the trajectory holds a tool result. A call that failed is a fault, not a consultation."""
        return any(message.role == "tool" and not message.error for message in self.completion)

    @property
    def answer(self) -> str | None:
        """What a judge sees: the text after the last closed thought, or None where the model gave no answer."""
        if self.stop not in (StopReason.ANSWERED, StopReason.LENGTH):
            return None
        return self.messages[-1].content

    @property
    def thoughts(self) -> list[str]:
        """The model's thoughts, one entry per assistant turn ('' where a turn has none)."""
        return [m.reasoning_content or "" for m in self.completion if m.role == "assistant"]
