"""Any OpenAI-compatible server (vLLM, SGLang, llama.cpp, hosted) as a client.

What it replies is read in `completion.py`. Thoughts are sent back in tool turns under both keys, `reasoning` and
`reasoning_content`: vLLM reads the first, older versions and other servers the second. Texts are neutralised before
they leave, and ids of calls are made again: the server applies its own chat template to them.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ascl.chat import inline_thought
from ascl.chat.bare_call import is_bare_call
from ascl.chat.messages import Message, Opening, Trajectory
from ascl.chat.neutralise import neutralise, neutralise_messages
from ascl.chat.turn import Turn
from ascl.errors import InputError
from ascl.models.completion import read_turn
from ascl.models.retry import RequestFailed, failed_status, pause
from ascl.models.sampling import Sampling
from ascl.progress import tell
from ascl.servers import CONNECT_TIMEOUT, WAIT, server_address

if TYPE_CHECKING:
    import openai


@dataclass
class OpenAIClient:
    """A model behind a chat-completions endpoint; `base_url` defaults to `OPENAI_BASE_URL`.

    concurrency: requests under way at once. timeout: seconds for one request, its answer included. attempts: how often
    a request is sent that fails in a way that may pass. backoff: seconds before the second attempt, doubling after.
    wait: seconds between looks for a server that was there before and is gone; those are no attempts.
    """

    model: str
    base_url: str | None = None
    concurrency: int = 16
    timeout: float = 600.0
    extra_body: dict[str, Any] = field(default_factory=dict)
    attempts: int = 8
    backoff: float = 0.5
    wait: float = WAIT
    answered: bool = field(default=False, init=False)  # the server has been there
    lost_at: float | None = field(default=None, init=False)  # since when it is gone, by the monotonic clock
    hinted: bool = field(default=False, init=False)  # the user has been told of the server's parser

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
        return InputError(f"{self._where}: {failed.reason}")

    @property
    def _where(self) -> str:
        return f"model {self.model} at {server_address(self.base_url)}"

    def connect(self) -> "openai.AsyncOpenAI":
        """The connections to the server, to be closed by `async with`."""
        import httpx2
        import openai

        from ascl.http_client import AsyncClient

        timeout = httpx2.Timeout(self.timeout, connect=min(self.timeout, CONNECT_TIMEOUT))
        return openai.AsyncOpenAI(
            base_url=server_address(self.base_url),
            api_key=os.environ.get("OPENAI_API_KEY") or "none",
            timeout=timeout,
            max_retries=0,
            http_client=AsyncClient(
                timeout, limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None)
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

        A server that is not there is a failure; one that was there before is waited for, and a line says so. `sending`
        is called before each request (and may raise to prevent it), `failing` hears of each failure. Raises
        RequestFailed.
        """
        body = self.request(trajectory, tools, sampling)
        for attempt in range(1, self.attempts + 1):
            sending()
            try:
                turn = _turn(await self._reached(server, body), _opening(trajectory))
                self._hint(turn, tools)
                return turn
            except RequestFailed as failed:
                failing(failed)
                failed.attempts = attempt
                if not failed.passing or attempt == self.attempts or failed.kind == "unreachable":
                    raise
                wait = pause(attempt, self.backoff, failed.wait)
            await asyncio.sleep(wait)
        raise AssertionError("attempts is at least 1")

    def request(self, trajectory: Trajectory, tools: list[dict[str, Any]], sampling: Sampling) -> bytes:
        """The body of the request for the next turn of a trajectory."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [sent_message(message) for message in neutralise_messages(trajectory.messages)],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
        }
        if tools:
            body["tools"] = tools
        if opening := _opening(trajectory):
            body["messages"].append({"role": "assistant", "content": inline_thought.opening_text(opening)})
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return json.dumps(body | self.extra_body, ensure_ascii=False).encode()

    async def _reached(self, server: "openai.AsyncOpenAI", body: bytes) -> dict[str, Any]:
        """The reply to a request, waited for while a server that was there before is gone."""
        while True:
            try:
                reply = await self._post(server, body)
            except RequestFailed as failed:
                if failed.kind != "unreachable" or not self.answered:
                    raise
                if self.lost_at is None:
                    self.lost_at = time.monotonic()
                    tell(f"{self._where} does not answer ({failed.reason}); waiting, asking every {self.wait:g} s")
                await asyncio.sleep(self.wait)
                continue
            if self.lost_at is not None:
                tell(f"{self._where} is back after {time.monotonic() - self.lost_at:.0f} s")
                self.lost_at = None
            return reply

    def _hint(self, turn: Turn, tools: list[dict[str, Any]]) -> None:
        """Tell the user once that the server's parser does not take the model's calls out of its text."""
        names = [tool["function"]["name"] for tool in tools]
        if self.hinted or not (turn.left_in_text or any(is_bare_call(turn.content, name) for name in names)):
            return
        self.hinted = True
        tell(
            f"{self._where}: the server left a tool call in the text. Start vLLM with --enable-auto-tool-choice"
            " --tool-call-parser NAME, SGLang with --tool-call-parser NAME (docs/engines.md)"
        )

    async def _post(self, server: "openai.AsyncOpenAI", body: bytes) -> dict[str, Any]:
        """Send a request once. Not through the library's models: they cost more time than the request itself."""
        import httpx2
        import openai

        from ascl.http_client import BodyTooLong, OtherServer

        try:
            # The library's timeout is one between two bytes; a server that trickles would never run into it.
            async with asyncio.timeout(self.timeout):
                response = await server.post("/chat/completions", cast_to=httpx2.Response, content=body)
        except (TimeoutError, openai.APIConnectionError) as error:
            cause = error.__cause__
            reason = f"{error} {cause or ''}"
            if isinstance(cause, BodyTooLong):
                raise RequestFailed("not_a_completion", str(cause), passing=False) from error
            if isinstance(cause, OtherServer):
                raise RequestFailed("redirected", str(cause), passing=False) from error
            if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout):
                raise RequestFailed("unreachable", reason, passing=True) from error
            if isinstance(error, TimeoutError | openai.APITimeoutError):
                raise RequestFailed("timeout", f"no answer within {self.timeout:g} s", passing=True) from error
            if isinstance(cause, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
                raise RequestFailed("not_sent", reason, passing=False) from error
            raise RequestFailed("connection", reason, passing=True) from error
        except openai.APIStatusError as error:
            self.answered = True
            told = error.message if " - " in error.message else f"{error.message} - {error.response.text[:500]}"
            raise failed_status(error.status_code, told, error.response.headers) from error
        except (openai.OpenAIError, httpx2.InvalidURL, ValueError, ExceptionGroup) as error:
            told = str(error.exceptions[0] if isinstance(error, ExceptionGroup) else error)  # a port that is none
            raise RequestFailed("not_sent", told, passing=False) from error
        self.answered = True
        return _completion(response.content)


def _opening(trajectory: Trajectory) -> Opening | None:
    """What the next turn is given to begin with; markers in its thought are broken."""
    opening = trajectory.opening
    return opening and Opening(neutralise(opening.thought), opening.closed)


def sent_message(message: Message) -> dict[str, Any]:
    """A message as it is sent: OpenAI's form, the thought under both of its names."""
    sent = message.for_openai()
    if "reasoning_content" in sent:
        sent["reasoning"] = sent["reasoning_content"]
    return sent


def _turn(reply: dict[str, Any], opening: Opening | None) -> Turn:
    """The turn in a reply. Raises RequestFailed, whatever else reading the reply raises: it is the server's doing."""
    try:
        return read_turn(reply, opening)
    except RequestFailed:
        raise
    except Exception as error:
        told = f"the reply can't be read ({type(error).__name__}: {error})"
        raise RequestFailed("not_a_completion", told, passing=True) from error


def _completion(content: bytes) -> dict[str, Any]:
    """The chat completion in a reply's body, of a shape that `read_turn` can read. Raises RequestFailed."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    fields = {
        "content": str | list,
        "refusal": str,
        "reasoning": str | list,
        "reasoning_content": str | list,
        "tool_calls": list,
    }
    if not isinstance(message, dict) or not all(isinstance(message.get(k), kind | None) for k, kind in fields.items()):
        shown = content[:200].decode(errors="replace")
        raise RequestFailed("not_a_completion", f"the reply is not a chat completion: {shown}", passing=True)
    return body
