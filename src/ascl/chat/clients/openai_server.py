"""Any OpenAI-compatible server (vLLM, SGLang, llama.cpp, hosted) as a client.

Thoughts are read from `reasoning`, `reasoning_content` or inline tags. They are sent back in tool turns under both
keys: vLLM reads the first, older versions and other servers the second. Texts are neutralised before they leave: the
server applies its own chat template to them.
"""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from ascl.chat.clients.retry import RequestFailed, failed_status, pause
from ascl.chat.clients.sampling import Sampling
from ascl.chat.clients.server_text import opens_no_thought, read_channels, read_said, without_tokens
from ascl.chat.dialects import hermes
from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.chat.neutralise import neutralise_message
from ascl.chat.turn import ParsedCall, Turn, check_call, parse_arguments
from ascl.errors import InputError

if TYPE_CHECKING:
    import ssl

    import openai

ENDED = ("stop", "tool_calls", None)  # the reasons for which a turn of the model ends
CUT = ("length", "model_length", "max_tokens")  # .. and for which its budget cuts it
CALL_PARTS = ("tool_use", "tool_call", "function_call")  # types of parts that are a call
CONNECT_TIMEOUT = 20.0  # seconds; a server that takes longer to pick up the phone is not there


@dataclass
class OpenAIClient:
    """A model behind a chat-completions endpoint; `base_url` defaults to `OPENAI_BASE_URL`.

    concurrency: requests under way at once. timeout: seconds for one request, its answer included. attempts: how often
    a request is sent that fails in a way that may pass. backoff: seconds before the second attempt, doubling after.
    """

    model: str
    base_url: str | None = None
    concurrency: int = 16
    timeout: float = 600.0
    extra_body: dict[str, Any] = field(default_factory=dict)
    attempts: int = 8
    backoff: float = 0.5

    def complete(self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling) -> list[Turn]:
        """One turn for each trajectory, `concurrency` requests at a time.

        Raises InputError where one of them fails for good.
        """
        return asyncio.run(self._complete(trajectories, tools, sampling))

    async def _complete(
        self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling
    ) -> list[Turn]:
        gate = asyncio.Semaphore(self.concurrency)

        async def ask(trajectory: Trajectory) -> Turn:
            async with gate:
                return await self.turn(server, trajectory, tools, sampling)

        async with self.connect() as server:
            try:
                return await asyncio.gather(*map(ask, trajectories))
            except RequestFailed as error:
                raise self.input_error(error) from error

    def input_error(self, failed: RequestFailed) -> InputError:
        """The failure as a line for the user."""
        where = self.base_url or os.environ.get("OPENAI_BASE_URL") or "the OpenAI API"
        return InputError(f"model {self.model} at {where}: {failed.reason}")

    def connect(self) -> "openai.AsyncOpenAI":
        """The connections to the server, to be closed by `async with`."""
        import httpx2
        import openai

        return openai.AsyncOpenAI(
            base_url=self.base_url or os.environ.get("OPENAI_BASE_URL"),
            api_key=os.environ.get("OPENAI_API_KEY") or "none",
            timeout=httpx2.Timeout(self.timeout, connect=min(self.timeout, CONNECT_TIMEOUT)),
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(
                verify=_certificates(), limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None)
            ),
        )

    async def turn(
        self,
        server: "openai.AsyncOpenAI",
        trajectory: Trajectory,
        tools: list[dict[str, Any]],
        sampling: Sampling,
        sending: Callable[[], None] = lambda: None,
        failing: Callable[[RequestFailed], None] = lambda failed: None,
    ) -> Turn:
        """The next turn of a trajectory, asked for again while it fails in a way that may pass.

        `sending` is called before each request (and may raise to prevent it), `failing` hears of each failure. Raises
        RequestFailed.
        """
        body = self.request(trajectory, tools, sampling)
        for attempt in range(1, self.attempts + 1):
            sending()
            try:
                return read_turn(await self._post(server, body), trajectory.opening)
            except RequestFailed as failed:
                failing(failed)
                failed.attempts = attempt
                if not failed.passing or attempt == self.attempts:
                    raise
                wait = pause(attempt, self.backoff, failed.wait)
            await asyncio.sleep(wait)
        raise AssertionError("attempts is at least 1")

    def request(self, trajectory: Trajectory, tools: list[dict[str, Any]], sampling: Sampling) -> bytes:
        """The body of the request for the next turn of a trajectory."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [_sent(message) for message in trajectory.messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
        }
        if tools:
            body["tools"] = tools
        if trajectory.opening:  # not neutralised: its markers are meant
            body["messages"].append({"role": "assistant", "content": trajectory.opening})
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return json.dumps(body | self.extra_body, ensure_ascii=False).encode()

    async def _post(self, server: "openai.AsyncOpenAI", body: bytes) -> dict[str, Any]:
        """Send a request once. Not through the library's models: they cost more time than the request itself."""
        import httpx2
        import openai

        try:
            # The library's timeout is one between two bytes; a server that trickles would never run into it.
            async with asyncio.timeout(self.timeout):
                response = await server.post("/chat/completions", cast_to=httpx2.Response, content=body)
        except (TimeoutError, openai.APIConnectionError) as error:
            cause = error.__cause__
            reason = f"{error} {cause or ''}"
            if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout):
                raise RequestFailed("unreachable", reason, passing=True) from error
            if isinstance(error, TimeoutError | openai.APITimeoutError):
                raise RequestFailed("timeout", f"no answer within {self.timeout:g} s", passing=True) from error
            if isinstance(cause, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
                raise RequestFailed("not_sent", reason, passing=False) from error
            raise RequestFailed("connection", reason, passing=True) from error
        except openai.APIStatusError as error:
            told = error.message if " - " in error.message else f"{error.message} - {error.response.text[:500]}"
            raise failed_status(error.status_code, told, error.response.headers) from error
        except (openai.OpenAIError, httpx2.InvalidURL, ValueError, ExceptionGroup) as error:
            told = str(error.exceptions[0] if isinstance(error, ExceptionGroup) else error)  # a port that is none
            raise RequestFailed("not_sent", told, passing=False) from error
        return _completion(response.content)


@cache
def _certificates() -> "ssl.SSLContext":
    """Those that servers are checked against. Loading them takes longer than many a request."""
    import httpx2

    return httpx2.create_ssl_context()


def _sent(message: Message) -> dict[str, Any]:
    sent = neutralise_message(message).for_openai()
    if "reasoning_content" in sent:
        sent["reasoning"] = sent["reasoning_content"]
    return sent


def _completion(content: bytes) -> dict[str, Any]:
    """The chat completion in a reply's body, of a shape that `read_turn` can read. Raises RequestFailed."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    fields = {"content": str | list, "refusal": str, "reasoning": str | list, "reasoning_content": str | list, "tool_calls": list}
    if not isinstance(message, dict) or not all(isinstance(message.get(k), kind | None) for k, kind in fields.items()):
        shown = content[:200].decode(errors="replace")
        raise RequestFailed("not_a_completion", f"the reply is not a chat completion: {shown}", passing=True)
    return body


def read_turn(response: dict[str, Any], opening: str = "") -> Turn:
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
    usage = response.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    turn.tokens = tokens if isinstance(tokens, int) else 0
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        parsed = _read_call(function if isinstance(function, dict) else {})
        if isinstance(parsed, str):
            turn.stop, turn.detail = StopReason.MALFORMED if ended else StopReason.TRUNCATED, parsed
            break
        turn.calls.append(parsed)
    return turn


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
        content = f"<think>{content}"
    inline = thought is None and content.lstrip().startswith("<think>")
    if inline:
        thought, content, closed = hermes.split_thought(content)
        if not closed:
            return Turn("", thought, ended=ended, stop=StopReason.TRUNCATED, detail="thought not closed")
    turn = Turn(content, ended=ended) if called else read_said(content, ended, inline)
    turn.thought = thought
    if thought is not None and not content and not ended:
        turn.stop, turn.detail = StopReason.TRUNCATED, "thought not closed"
    return turn


def _joined(opening: str, thought: str | None, content: str) -> tuple[str | None, str]:
    """Thought and content of a turn that began with `opening`. Servers differ in whether they repeat it.

    A server's reasoning parser sees only what comes after the opening. Inside an open thought, what it calls the
    thought is its rest; after a closed one, it is text of the answer that the parser took for a thought.
    """
    if content.startswith(opening):
        return thought, content
    _, opened, begun = opening.partition("<think>")
    if thought is None or not opened or "</think>" in begun:
        return None, opening + (thought or "") + content
    return (thought if thought.lstrip().startswith(begun.strip()) else begun + thought).strip(), content


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
        {"function": part.get("function") or {"name": part.get("name"), "arguments": part.get("input") or part.get("arguments")}}
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
