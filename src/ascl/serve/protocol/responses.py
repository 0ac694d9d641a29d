"""What a client asks in the form of OpenAI's Responses API, put into that of a chat completion and cleaned there.

Nothing is kept between two requests: a client sends its whole conversation as `input`. Thoughts and look-ups of earlier
turns (items of the types `reasoning` and `mcp_call`) are dropped: the model reads no result that was not looked up now.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ascl.serve.protocol.asked import (
    MOST_MESSAGES,
    MOST_TOOLS,
    Asked,
    asked_in,
    checked_fields,
    read_json,
    refuse_unknown,
)
from ascl.serve.protocol.errors import bad_request

STATE = ("previous_response_id", "conversation", "prompt")
SAME = ("model", "stream", "temperature", "top_p", "parallel_tool_calls")  # as in a chat completion
READ = (
    "input", "instructions", "background", "include", "max_output_tokens", "tools", "tool_choice", "text", "reasoning",
)  # fmt: skip
IGNORED = (
    "store", "metadata", "user", "service_tier", "prompt_cache_key", "safety_identifier", "stream_options",
    "truncation",
)  # fmt: skip
DROPPED = ("reasoning", "mcp_call")
Placed = tuple[str, dict[str, Any]]  # a message, and where the client wrote it


class _Fields(BaseModel):
    """The fields that are read here. include: what no item of ours has may be asked for."""

    model_config = ConfigDict(extra="ignore", strict=True)

    input: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_MESSAGES - 1)  # and the instructions
    instructions: str | None = None
    background: Literal[False] = False
    include: list[Literal["reasoning.encrypted_content"]] = []
    max_output_tokens: int | None = Field(default=None, ge=1, le=2**31)
    tools: list[dict[str, Any]] = Field(default=[], max_length=MOST_TOOLS)
    text: dict[str, Any] = {}
    reasoning: dict[str, Any] = {}


def read_response(content: bytes, allowed: frozenset[str] = frozenset()) -> Asked:
    """The request in a body. allowed: fields that the key may send besides. Raises ApiError (400) naming the field."""
    body = {name: value for name, value in read_json(content).items() if value is not None}
    for name in STATE:
        if name in body and name not in allowed:
            raise bad_request(f"{name}: nothing is kept here; send the whole conversation as input", name)
    refuse_unknown(body, {*SAME, *READ, *IGNORED, *allowed})
    if isinstance(body.get("input"), str):
        body["input"] = [{"role": "user", "content": body["input"]}]
    fields = checked_fields(_Fields, body)
    placed = _messages(fields)
    chat = {name: body[name] for name in (*SAME, *allowed) if name in body} | {
        "messages": [message for _, message in placed],
        "tools": [_tool(tool, f"tools.{number}") for number, tool in enumerate(fields.tools)],
        "tool_choice": _choice(body.get("tool_choice")),
        "response_format": _format(fields.text.get("format")),
        "max_tokens": fields.max_output_tokens,
        "reasoning_effort": fields.reasoning.get("effort"),
    }
    return asked_in(chat, allowed, places=[where for where, _ in placed])


def _messages(fields: _Fields) -> list[Placed]:
    """The messages in the items; calls that come one after the other are of one message."""
    placed: list[Placed] = []
    if fields.instructions:
        placed.append(("instructions", {"role": "system", "content": fields.instructions}))
    for number, item in enumerate(fields.input):
        where, kind = f"input.{number}", item.get("type") or "message"
        if kind == "message":
            placed.append((where, {"role": item.get("role"), "content": _content(item.get("content"), where)}))
        elif kind == "function_call":
            if not placed or placed[-1][1]["role"] != "assistant":
                placed.append((where, {"role": "assistant", "content": None}))
            placed[-1][1].setdefault("tool_calls", []).append(_call(item, where))
        elif kind == "function_call_output":
            result = {"tool_call_id": item.get("call_id"), "content": _content(item.get("output"), where)}
            placed.append((where, {"role": "tool", "name": item.get("name"), **result}))
        elif kind not in DROPPED:
            raise bad_request(f"{where}.type: this type of item can't be read here", f"{where}.type")
    if not placed:
        raise bad_request("input: a message is expected", "input")
    return placed


def _call(item: dict[str, Any], where: str) -> dict[str, Any]:
    id, name, arguments = (item.get(key) for key in ("call_id", "name", "arguments"))
    if not (isinstance(id, str) and isinstance(name, str) and isinstance(arguments, str)):
        raise bad_request(f"{where}: a call has call_id, name and arguments, which are texts", where)
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _content(content: Any, where: str) -> Any:
    """A content as chat completions have it; a single text is no list of parts."""
    if not isinstance(content, list):
        return content
    parts = [_part(part, f"{where}.content.{number}") for number, part in enumerate(content)]
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(part: Any, where: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": part.get("text")}
    if kind == "refusal":
        return {"type": "refusal", "refusal": part.get("refusal")}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        image = {"url": part["image_url"], "detail": part.get("detail") or "auto"}
        return {"type": "image_url", "image_url": image}
    raise bad_request(f"{where}: a text or an image by its URL is expected", where)


def _tool(tool: dict[str, Any], where: str) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise bad_request(f"{where}.type: function is expected", f"{where}.type")
    names = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: tool[name] for name in names if tool.get(name) is not None}}


def _choice(choice: Any) -> Any:
    if choice is None or choice in ("none", "auto", "required"):
        return choice
    if not isinstance(choice, dict) or choice.get("type") != "function" or not isinstance(choice.get("name"), str):
        raise bad_request("tool_choice: none, auto, required or a function is expected", "tool_choice")
    return {"type": "function", "function": {"name": choice["name"]}}


def _format(given: Any) -> dict[str, Any] | None:
    kind = given.get("type") if isinstance(given, dict) else given
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return {"type": "json_object"}
    if kind != "json_schema":
        raise bad_request("text.format: text, json_object or json_schema is expected", "text.format")
    names = ("name", "description", "schema", "strict")
    return {"type": kind, kind: {name: given[name] for name in names if given.get(name) is not None}}
