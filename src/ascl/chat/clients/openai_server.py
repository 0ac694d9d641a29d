"""Any OpenAI-compatible server (vLLM, SGLang, llama.cpp, hosted) as a client.

Thoughts are read from `reasoning`, `reasoning_content` or inline tags, and sent back in tool turns under
`reasoning_content`. Texts are neutralised before they leave: the server applies its own chat template to them.
"""

import asyncio
import os
from dataclasses import dataclass, field
from typing import Any

from ascl.chat.clients.sampling import Sampling
from ascl.chat.dialects import hermes
from ascl.chat.messages import StopReason, Trajectory
from ascl.chat.neutralise import neutralise_message
from ascl.chat.turn import ParsedCall, Turn, check_call, parse_arguments
from ascl.errors import InputError


@dataclass
class OpenAIClient:
    """A model behind a chat-completions endpoint; `base_url` defaults to `OPENAI_BASE_URL`."""

    model: str
    base_url: str | None = None
    concurrency: int = 16
    timeout: float = 600.0
    extra_body: dict[str, Any] = field(default_factory=dict)

    def complete(self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling) -> list[Turn]:
        """One turn for each trajectory, `concurrency` requests at a time; the library retries what can be retried.

        Raises InputError where the server can't be reached or refuses the request.
        """
        return asyncio.run(self._complete(trajectories, tools, sampling))

    async def _complete(
        self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling
    ) -> list[Turn]:
        import openai
        from openai.types.chat import ChatCompletion

        gate = asyncio.Semaphore(self.concurrency)
        base_url = self.base_url or os.environ.get("OPENAI_BASE_URL")
        async with openai.AsyncOpenAI(
            base_url=base_url,
            api_key=os.environ.get("OPENAI_API_KEY", "none"),
            timeout=self.timeout,
            max_retries=5,
        ) as client:

            async def ask(trajectory: Trajectory) -> Turn:
                async with gate:
                    answer = await client.chat.completions.create(
                        model=self.model,
                        messages=[neutralise_message(m).for_openai() for m in trajectory.messages],  # type: ignore[misc]
                        tools=tools or openai.omit,  # type: ignore[arg-type]
                        temperature=sampling.temperature,
                        top_p=sampling.top_p,
                        max_tokens=sampling.max_tokens,
                        seed=sampling.seed,
                        extra_body=self.extra_body or None,
                    )
                if not isinstance(answer, ChatCompletion):  # the library hands on what is not JSON, a web page say
                    raise ValueError("the response is not a chat completion")
                return read_turn(answer.model_dump(warnings=False))

            try:
                return await asyncio.gather(*(ask(trajectory) for trajectory in trajectories))
            except (openai.OpenAIError, ValueError) as error:
                reason = " ".join(str(error).split())
                raise InputError(f"model {self.model} at {base_url or 'the OpenAI API'}: {reason}") from error


def read_turn(response: dict[str, Any]) -> Turn:
    """The turn in a chat-completions response (as a dict). A response without choices is malformed."""
    choices = response.get("choices") or []
    if not choices:
        return Turn("", stop=StopReason.MALFORMED, detail="the response has no choices")
    message, ended = choices[0].get("message") or {}, choices[0].get("finish_reason") != "length"
    content = _unicode(message.get("content") or "")
    thought = _unicode(message.get("reasoning_content") or message.get("reasoning") or "") or None
    if thought is None and "</think>" in content and "<think>" not in content:
        content = f"<think>{content}"  # the server's template opened the thought
    turn = Turn(content, thought, ended=ended)
    if thought is None and content.lstrip().startswith("<think>"):
        turn = hermes.parse(content, ended)
    elif thought is not None and not content and not ended:
        turn.stop, turn.detail = StopReason.TRUNCATED, "thought not closed"
    turn.tokens = (response.get("usage") or {}).get("completion_tokens") or 0
    for call in message.get("tool_calls") or []:
        parsed = _read_call(call.get("function") or {})
        if isinstance(parsed, str):
            turn.stop, turn.detail = StopReason.MALFORMED if ended else StopReason.TRUNCATED, parsed
            break
        turn.calls.append(parsed)
    return turn


def _unicode(text: str) -> str:
    """A text without lone surrogates: JSON can hold half a character, the files we write can't."""
    return text.encode(errors="replace").decode()


def _read_call(function: dict[str, Any]) -> ParsedCall | str:
    name, arguments = function.get("name"), function.get("arguments")
    if arguments in (None, ""):
        arguments = {}
    if isinstance(name, str) and isinstance(arguments, str):
        return parse_arguments(name, arguments)
    return check_call(name, arguments)
