"""The turn in a chat completion, whatever way a server writes it.

Thoughts are read from `reasoning`, `reasoning_content`, parts of the content, gpt-oss channels or inline tags; calls
from `tool_calls`, else from the text (`server_text.py`).
"""

from typing import Any

from ascl.chat import inline_thought
from ascl.chat.messages import Opening, StopReason
from ascl.chat.turn import MAX_CALLS, ParsedCall, Turn, check_call, parse_arguments
from ascl.models.retry import RequestFailed
from ascl.models.server_text import opens_no_thought, read_channels, read_said, without_tokens

ENDED = ("stop", "tool_calls", None)  # the reasons for which a turn of the model ends
CUT = ("length", "model_length", "max_tokens")  # .. and for which its budget cuts it
MAX_TOKENS = 2**31  # of a turn; a larger count is none
CALL_PARTS = ("tool_use", "tool_call", "function_call")  # types of parts that are a call


def read_turn(response: dict[str, Any], opening: Opening | None = None) -> Turn:
    """The turn in a chat-completions response (as a dict), which goes on from `opening`.

    Raises RequestFailed where the turn did not come to an end, nor to that of its budget.
    """
    choice = response["choices"][0]
    message, ended = choice["message"], _ended(choice, response)
    calls = _calls(message)
    content, part_thought = _text_and_thought(message.get("content") or message.get("refusal"))
    thoughts = ["".join(_text_and_thought(message.get(key))) for key in ("reasoning", "reasoning_content")]
    thought = without_tokens(_unicode(next(filter(None, [*thoughts, part_thought]), ""))) or None
    content = _unicode(content)
    if opening:
        thought, content = _joined(opening, thought, content)
    turn = _read_text(without_tokens(content), thought, ended, bool(calls))
    turn.tokens = _tokens(response.get("usage"))
    for call in calls[: MAX_CALLS + 1]:
        function = call.get("function") if isinstance(call, dict) else None
        parsed = _read_call(function if isinstance(function, dict) else {})
        if isinstance(parsed, str):
            turn.stop, turn.detail = StopReason.MALFORMED if ended else StopReason.TRUNCATED, parsed
            break
        turn.calls.append(parsed)
    return turn


def _tokens(usage: Any) -> int:
    """The generated tokens a server counted; 0 where its count makes no sense."""
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return tokens if type(tokens) is int and 0 <= tokens <= MAX_TOKENS else 0


def _ended(choice: dict[str, Any], response: dict[str, Any]) -> bool:
    """Whether the model ended its turn; False where the budget did. Raises RequestFailed where neither did."""
    finish, error = choice.get("finish_reason"), choice.get("error") or response.get("error")
    reason = finish.lower() if isinstance(finish, str) else finish
    if not error and reason in ENDED:
        return True
    if not error and reason in CUT:
        return False
    told = error.get("message", error) if isinstance(error, dict) else error or "the reply was broken off"
    raise RequestFailed("unfinished", f"finish_reason {finish}: {told}", passing=True)


def _read_text(content: str, thought: str | None, ended: bool, called: bool) -> Turn:
    """The turn in a reply's texts. called: it brought its calls apart, so none is looked for in the text."""
    if turn := read_channels(content, ended):
        turn.thought = "\n\n".join(filter(None, [thought, turn.thought])) or turn.thought
        return turn
    if thought is None and opens_no_thought(content):
        content = inline_thought.begun(content)
    inline = thought is None and inline_thought.begins(content)
    if inline:
        thought, content, closed = inline_thought.split(content)
        if not closed:
            return Turn("", thought, ended=ended, stop=StopReason.TRUNCATED, detail="thought not closed")
    turn = Turn(content, ended=ended) if called else read_said(content, ended, inline)
    turn.thought = thought
    if thought is not None and not content and not ended:
        turn.stop, turn.detail = StopReason.TRUNCATED, "thought not closed"
    return turn


def _joined(opening: Opening, thought: str | None, content: str) -> tuple[str | None, str]:
    """Thought and content of a turn that began with `opening`. Servers differ in whether they repeat it.

    A server's reasoning parser sees only what comes after the opening. Inside an open thought, what it calls the
    thought is its rest; after a closed one, it is text of the answer that the parser took for a thought.
    """
    begun = inline_thought.opening_text(opening)
    if content.startswith(begun):
        return thought, content
    if thought is None or opening.closed:
        return None, begun + (thought or "") + content
    whole = thought.lstrip().startswith(opening.thought.strip())
    return (thought if whole else opening.thought + thought).strip(), content


def _text_and_thought(content: Any) -> tuple[str, str]:
    """The text and the thought in a message's content, which is a text or a list of parts.

    Parts of other kinds (a reference, say) say nothing. Raises RequestFailed where nothing else is there.
    """
    if not isinstance(content, list):
        return content or "", ""
    read = [_part(part) for part in content]
    if content and not any(kind for kind, _ in read) and not _calls({"content": content}):
        raise RequestFailed("not_a_completion", f"no part of the content is a text: {str(content)[:200]}", passing=True)
    text, thought = ("".join(words for kind, words in read if kind == wanted) for wanted in ("text", "thought"))
    return text, thought


def _part(part: Any, depth: int = 4) -> tuple[str, str]:
    """What a part of a content is (`text`, `thought`, or '' for neither) and its words."""
    if isinstance(part, str):
        return "text", part
    if not isinstance(part, dict) or depth == 0:
        return "", ""
    kind = str(part.get("type", "text"))
    thought = part.get("thought") is True or any(word in kind for word in ("think", "reason", "summary"))
    keys = ("thinking", "reasoning", kind, "text", "content", "summary") if thought else ("text", "content", "refusal")
    words = next((part[key] for key in keys if part.get(key) is not None), None)
    if isinstance(words, dict):
        words = words.get("value")
    if isinstance(words, list):
        words = "".join(said for _, said in (_part(inner, depth - 1) for inner in words))
    if not isinstance(words, str):
        return "", ""
    return "thought" if thought else "text", words


def _calls(message: dict[str, Any]) -> list[Any]:
    """The calls of a message, those among the parts of its content besides."""
    parts = message["content"] if isinstance(message.get("content"), list) else []
    called = [part for part in parts if isinstance(part, dict) and part.get("type") in CALL_PARTS]
    return (message.get("tool_calls") or []) + [
        {
            "function": part.get("function")
            or {"name": part.get("name"), "arguments": part.get("input") or part.get("arguments")}
        }
        for part in called
    ]


def _unicode(text: str) -> str:
    """A text without lone surrogates: JSON can hold half a character, the files we write can't."""
    return text.encode(errors="replace").decode()


def _read_call(function: dict[str, Any]) -> ParsedCall | str:
    name, arguments = function.get("name"), function.get("arguments")
    if isinstance(name, str):
        name = name.partition("<|")[0].strip()  # a leaked token of gpt-oss: `NAME<|channel|>commentary`
    if isinstance(arguments, str):
        arguments = without_tokens(arguments).strip()
    if arguments in (None, "", "null"):
        arguments = {}
    if isinstance(name, str) and isinstance(arguments, str):
        return parse_arguments(name, arguments)
    return check_call(name, arguments)
