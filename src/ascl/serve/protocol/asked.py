"""What a client asks: the body of a chat-completions request, checked and cleaned, with the JSON kept as it came.

Only fields that are known cross to the model, so that no request can take the rules away from it (a chat template of
its own, a continued turn, ..). Whatever imitates a consultation is taken out and counted: what the model reads as a
result of the consult tool was looked up here. Texts are neutralised; parts that are no text are forwarded untouched.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ascl.chat.neutralise import neutralise
from ascl.consult.tool import SHORT_NAME, TOOL_NAME
from ascl.serve.protocol.errors import bad_request

MOST_MESSAGES, MOST_TOOLS, MOST_CHOICES, DEEPEST = 4096, 128, 8, 64
OUR_CALL = "call_ascl_"  # what the ids of our calls begin with
_OURS = frozenset(re.sub(r"[-_.]", "", name).casefold() for name in (TOOL_NAME, SHORT_NAME))

FORWARDED = (
    "temperature", "top_p", "stop", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs",
    "reasoning_effort", "parallel_tool_calls", "user",
)  # fmt: skip
READ = (
    "model", "messages", "stream", "stream_options", "n", "seed", "max_tokens", "max_completion_tokens", "tools",
    "tool_choice", "response_format",
)  # fmt: skip
IGNORED = ("store", "metadata", "service_tier", "prompt_cache_key", "safety_identifier", "verbosity")


Fields = TypeVar("Fields", bound=BaseModel)


class StreamOptions(BaseModel):
    """What a client asks of its stream; other options are left alone."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class _Fields(BaseModel):
    """The fields that are read here, with the bounds of their values. Numbers may not be given as texts."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: str = Field(max_length=512)
    messages: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_MESSAGES)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=None, ge=1, le=MOST_CHOICES)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    max_tokens: int | None = Field(default=None, ge=1, le=2**31)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=2**31)
    tools: list[dict[str, Any]] | None = Field(default=None, max_length=MOST_TOOLS)
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)


@dataclass
class Asked:
    """A request that may be answered.

    system: the client's own system texts, joined. messages: the others, as they go upstream. options: fields that are
    forwarded as they came. forced: the answer's form is fixed (a client's tool, a JSON schema), so that the model can't
    call ours. forged: how many messages, calls and results imitated a consultation and were taken out.
    """

    model: str
    system: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    options: dict[str, Any]
    stream: bool = False
    include_usage: bool = False
    n: int = 1
    seed: int | None = None
    max_tokens: int | None = None
    forced: bool = False
    forged: int = 0
    names: frozenset[str] = field(default_factory=frozenset)


def read_asked(content: bytes, allowed: frozenset[str] = frozenset(), keep_thoughts: bool = False) -> Asked:
    """The request in a body. allowed: fields that the key may send besides; keep_thoughts: those of earlier turns stay.

    Raises ApiError (400) naming the field.
    """
    body = read_json(content)
    refuse_unknown(body, {*FORWARDED, *READ, *IGNORED, *allowed})
    return asked_in(body, allowed, keep_thoughts)


def asked_in(
    body: dict[str, Any], allowed: frozenset[str], keep_thoughts: bool = False, places: Sequence[str] | None = None
) -> Asked:
    """The request in the fields of a chat completion, cleaned.

    places: where each message stands in what the client sent, if that had another form. Raises ApiError (400).
    """
    fields = checked_fields(_Fields, body)
    if fields.max_tokens is not None and fields.max_completion_tokens is not None:
        raise bad_request("give max_tokens or max_completion_tokens, not both", "max_tokens")
    choice, tools = fields.tool_choice, _tools(fields.tools or [])
    if choice == "none":
        tools = []
    forced = choice not in (None, "auto", "none") or (fields.response_format or {}).get("type", "text") != "text"
    options = {name: body[name] for name in (*FORWARDED, *sorted(allowed)) if body.get(name) is not None}
    if forced:
        given = {"tool_choice": choice, "response_format": fields.response_format}
        options |= {name: value for name, value in given.items() if value is not None}
    cleaner = _Cleaner(keep_thoughts)
    for number, message in enumerate(fields.messages):
        where = places[number] if places else f"messages.{number}"
        cleaner.add(message, where)
    if not cleaner.kept or cleaner.kept[-1]["role"] == "assistant":
        raise bad_request(f"{where}: the last message must be the user's or a tool's result", where)
    return Asked(
        model=fields.model,
        system="\n\n".join(cleaner.system),
        messages=cleaner.kept,
        tools=tools,
        options=options,
        stream=bool(fields.stream),
        include_usage=bool(fields.stream_options and fields.stream_options.include_usage),
        n=fields.n or 1,
        seed=fields.seed,
        max_tokens=fields.max_tokens or fields.max_completion_tokens,
        forced=forced,
        forged=cleaner.forged,
        names=frozenset(tool["function"]["name"] for tool in tools),
    )


def refuse_unknown(body: dict[str, Any], known: Collection[str]) -> None:
    """Raise ApiError (400) naming the first field that is not known."""
    for name in body:
        if name not in known:
            raise bad_request(f"unknown field {name[:64]!r}", name[:64])


def checked_fields(model: type[Fields], body: dict[str, Any]) -> Fields:
    """The fields of a body that are read. Raises ApiError (400) naming the first at fault."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        where, why = ".".join(map(str, error.errors()[0]["loc"])), error.errors()[0]["msg"]
        raise bad_request(f"{where}: {why}", where) from error


def is_ours(name: object) -> bool:
    """Whether a name is that of the consult tool, or reads like it."""
    plain = unicodedata.normalize("NFKC", name).casefold() if isinstance(name, str) else ""
    return "".join(c for c in plain if c.isalnum()) in _OURS


def read_json(content: bytes) -> dict[str, Any]:
    """The object in a body. Raises ApiError (400)."""
    try:
        text = content.decode("utf-8-sig")
        body = json.loads(text, parse_constant=_no_number)
        if "\\u" in text:  # no lone surrogates
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise bad_request("the body is not JSON") from error
    if not isinstance(body, dict):
        raise bad_request("the body is no JSON object")
    if _depth(body) > DEEPEST:
        raise bad_request(f"the body is nested deeper than {DEEPEST} levels")
    return body


def _no_number(name: str) -> None:
    raise ValueError(name)


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level and deepest <= DEEPEST:
        deepest += 1
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return deepest


def _tools(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for number, tool in enumerate(tools):
        where = f"tools.{number}"
        function = tool.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        if tool.get("type") != "function" or not isinstance(name, str) or not re.fullmatch(r"[\w.-]{1,128}", name):
            raise bad_request(f"{where}: a function with a name is expected", where)
        if is_ours(name):
            raise bad_request(f"{where}: this name is taken", where)
    return tools


class _Cleaner:
    """Takes a client's messages one by one: the system texts apart, the others without what imitates a consultation."""

    def __init__(self, keep_thoughts: bool) -> None:
        self.keep_thoughts = keep_thoughts
        self.system: list[str] = []
        self.kept: list[dict[str, Any]] = []
        self.forged = 0
        self._forged_ids: set[str] = set()

    def add(self, message: dict[str, Any], where: str) -> None:
        """Read a message. Raises ApiError naming it."""
        role = message.get("role")
        if role in ("system", "developer"):
            text = _content(message.get("content"), f"{where}.content")
            self.system.append(text if isinstance(text, str) else _joined(text, f"{where}.content"))
        elif role == "user":
            self.kept.append({"role": "user", "content": _content(message.get("content"), f"{where}.content")})
        elif role == "assistant":
            self._add_assistant(message, where)
        elif role == "tool":
            self._add_result(message, where)
        else:
            raise bad_request(f"{where}.role: system, developer, user, assistant or tool is expected", f"{where}.role")

    def _add_assistant(self, message: dict[str, Any], where: str) -> None:
        given = message.get("tool_calls") or []
        if not isinstance(given, list) or not all(isinstance(call, dict) for call in given):
            raise bad_request(f"{where}.tool_calls: a list of calls is expected", f"{where}.tool_calls")
        calls = []
        for number, call in enumerate(given):
            cleaned = self._call(call, f"{where}.tool_calls.{number}")
            if cleaned is not None:
                calls.append(cleaned)
        content = message.get("content")
        text = "" if content is None else _content(content, f"{where}.content")
        if not text and isinstance(message.get("refusal"), str):
            text = neutralise(message["refusal"])
        kept: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            kept["tool_calls"] = calls
        thought = message.get("reasoning") or message.get("reasoning_content")
        if self.keep_thoughts and isinstance(thought, str):
            kept |= dict.fromkeys(("reasoning", "reasoning_content"), neutralise(thought))
        if text or calls:
            self.kept.append(kept)

    def _call(self, call: dict[str, Any], where: str) -> dict[str, Any] | None:
        function, id = call.get("function"), call.get("id")
        name = function.get("name") if isinstance(function, dict) else None
        arguments = function.get("arguments") if isinstance(function, dict) else None
        if not isinstance(id, str) or not isinstance(name, str) or not isinstance(arguments, str):
            raise bad_request(f"{where}: a call has an id and a function with name and arguments", where)
        if is_ours(name) or id.startswith(OUR_CALL):
            self._forged_ids.add(id)
            self.forged += 1
            return None
        said = {"name": neutralise(name), "arguments": neutralise(arguments)}
        return {"id": id, "type": "function", "function": said}

    def _add_result(self, message: dict[str, Any], where: str) -> None:
        id = message.get("tool_call_id")
        if not isinstance(id, str):
            raise bad_request(f"{where}.tool_call_id: the id of a call is expected", f"{where}.tool_call_id")
        if id in self._forged_ids or id.startswith(OUR_CALL) or is_ours(message.get("name")):
            self.forged += 1
            return
        if not any(id == call["id"] for one in self.kept for call in one.get("tool_calls", ())):
            raise bad_request(f"{where}.tool_call_id: no call before has this id", f"{where}.tool_call_id")
        content = _content(message.get("content"), f"{where}.content")
        self.kept.append({"role": "tool", "tool_call_id": id, "content": content})


def _content(content: Any, where: str) -> Any:
    """A text or a list of parts, every text of it neutralised."""
    if isinstance(content, str):
        return neutralise(content)
    if not isinstance(content, list) or not content or not all(isinstance(part, dict) for part in content):
        raise bad_request(f"{where}: a text or a list of parts is expected", where)
    return [_part(part, f"{where}.{number}") for number, part in enumerate(content)]


def _part(part: dict[str, Any], where: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind not in ("text", "refusal"):
        return part
    if not isinstance(part.get(kind), str):
        raise bad_request(f"{where}.{kind}: a text is expected", where)
    return part | {kind: neutralise(part[kind])}


def _joined(parts: list[dict[str, Any]], where: str) -> str:
    texts = [part.get("text") for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise bad_request(f"{where}: a system message holds text only", where)
    return "".join(text for text in texts if text is not None)
