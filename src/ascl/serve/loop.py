"""One choice of an answer: turns of the model, look-ups in between, until it answers or calls a tool of the client's.

The rules are read before anything is done: of a turn that calls the consult tool and a tool of the client's, the
client's calls are dropped, and the model is asked again. Where the model goes on consulting, the tool is withdrawn for
a last turn. What the client sees comes out as it is known; hidden turns leave nothing but their usage.
"""

import json
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ascl.chat.messages import Consultation, Message, StopReason, Trajectory
from ascl.chat.neutralise import neutralise, neutralise_messages
from ascl.chat.turn import Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import with_rules
from ascl.models.completion import read_turn
from ascl.models.openai_server import sent_message
from ascl.models.retry import RequestFailed
from ascl.serve.books import Pinned
from ascl.serve.protocol.asked import OUR_CALL, Asked
from ascl.serve.protocol.assemble import Assembler
from ascl.serve.protocol.hold_back import HoldBack
from ascl.serve.traces import consultation_span, turn_span
from ascl.serve.upstream import Upstream

Form = Literal["ascl", "rag"]
Verdict = Literal["safe", "unsafe", "unjudged", "no_text"]  # on the text of an answer


@dataclass(frozen=True)
class LoopSettings:
    """turns: of the model, the last of them without the consult tool. hidden_tokens: what a turn that may consult gets
    at least, whatever the client's max_tokens. answer_tokens: where a client names no max_tokens. strict: an answer is
    shown when its turn is whole.
    """

    turns: int = 4
    hidden_tokens: int = 512
    answer_tokens: int = 4096
    strict: bool = False


class Piece(NamedTuple):
    """A piece of what the model says or thinks, or something that it looked up."""

    text: str = ""
    thought: str = ""
    consultation: Consultation | None = None


@dataclass
class Walked:
    """What a choice came to. calls: of the client's tools, in OpenAI's form. deferred: calls of theirs that were
    dropped because the model consulted in the same turn. usage: of each turn. given: all that came out, in its order.
    verdict: the guard's, where the key has one; unjudged: why there is none.
    """

    trajectory: Trajectory
    finish_reason: str = "stop"
    calls: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    deferred: int = 0
    limit_reached: bool = False
    usage: list[dict[str, int]] = field(default_factory=list)
    given: list[Piece] = field(default_factory=list)
    verdict: Verdict | None = None
    unjudged: str | None = None

    @property
    def text(self) -> str:
        """What the model said to the client."""
        return "".join(piece.text for piece in self.given)

    @property
    def thought(self) -> str:
        """What it thought."""
        return "".join(piece.thought for piece in self.given)

    @property
    def total(self) -> dict[str, int]:
        """The usage of all turns."""
        prompt, completion = (sum(u.get(k, 0) for u in self.usage) for k in ("prompt_tokens", "completion_tokens"))
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


class Choice:
    """One choice, which is walked once. `walked` holds what is known so far, also where the client leaves."""

    def __init__(
        self,
        asked: Asked,
        model: str,
        form: Form,
        seed: int,
        pinned: Pinned,
        upstream: Upstream,
        settings: LoopSettings,
    ) -> None:
        self.asked, self.model, self.seed, self.upstream, self.settings = asked, model, seed, upstream, settings
        self.tool: ConsultTool | None = None if form == "rag" or asked.forced else pinned.tool
        text = _system_text("rag" if self.tool is None else "ascl", asked, pinned.tool)
        self.messages = [{"role": "system", "content": text}, *asked.messages]
        said = [Message(role="system", content=text), *map(_projected, asked.messages)]
        self.walked = Walked(start("served", said))
        self.turn_shown = ""  # of the last turn
        self.gap = Piece()  # what parts a turn's first text and thought from those of turns before

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """Walk to the end, giving what the client may see as it comes. Raises RequestFailed."""
        walked = self.walked
        for number in range(self.settings.turns):
            last = number == self.settings.turns - 1
            offered = None if last else self.tool
            walked.limit_reached = last and self.tool is not None
            turn: Turn | None = None
            async with aclosing(self._turn(number, offered)) as parts:
                async for part in parts:
                    if isinstance(part, Piece):
                        yield part
                    else:
                        turn = part
            assert turn is not None
            theirs = [call for call in turn.calls if call.name in self.asked.names]
            if theirs and len(theirs) == len(turn.calls) and turn.ended and turn.stop is None:
                self._hand_back(turn)
                yield self._rest(turn.content)
                return
            turn.calls = [call for call in turn.calls if call.name not in self.asked.names]
            walked.deferred += len(theirs)
            messages, consultations = len(walked.trajectory.messages), len(walked.trajectory.consultations)
            began = time.time_ns()
            if not advance(walked.trajectory, turn, offered, self.settings.turns):
                break
            self._remember(walked.trajectory.messages[messages:], number)
            for one in walked.trajectory.consultations[consultations:]:
                consultation_span(began, one)
                yield self._give(Piece(consultation=one))
        yield self._rest(walked.trajectory.answer or "")
        walked.finish_reason = "length" if walked.trajectory.stop in _CUT else "stop"

    async def _turn(self, number: int, offered: ConsultTool | None) -> AsyncGenerator[Piece | Turn, None]:
        assembler, hold, shown, pieces = Assembler(), HoldBack(), "", 0
        limit = self.asked.max_tokens or self.settings.answer_tokens
        body = self._body(number, offered, limit)
        self.gap = Piece("\n\n" if self.walked.text else "", "\n" if self.walked.thought else "")
        async with aclosing(turn_span(self.upstream.turn(body), body, assembler)) as chunks:
            async for chunk in chunks:
                thought, text = assembler.add(chunk)
                if thought:
                    yield self._give(Piece(thought=thought))
                if text and not self.settings.strict and (passed := hold.add(text)):
                    yield self._give(Piece(text=passed))
                    shown += passed
                pieces += bool(text)
                if self.asked.max_tokens and pieces >= limit and not assembler.ended:
                    assembler.finish_reason = "length"
                    break
        if not assembler.ended:
            raise RequestFailed("cut", "the upstream's stream ended before its turn did", passing=True)
        turn = read_turn(assembler.completion())
        self.walked.usage.append(assembler.usage)
        self.walked.logprobs = assembler.logprobs
        self.turn_shown = shown
        if turn.thought and not any(assembler.thought):  # it stood in the text
            yield self._give(Piece(thought=turn.thought))
        yield turn

    def _give(self, piece: Piece) -> Piece:
        """Note a piece that comes out; the first text and thought of a turn are parted from those of turns before."""
        text, thought = piece.text and self.gap.text + piece.text, piece.thought and self.gap.thought + piece.thought
        self.gap = Piece("" if text else self.gap.text, "" if thought else self.gap.thought)
        piece = Piece(text, thought, piece.consultation)
        self.walked.given.append(piece)
        return piece

    def _rest(self, answer: str) -> Piece:
        """What of the answer was held back."""
        return self._give(Piece(text=answer[len(self.turn_shown) :] if answer.startswith(self.turn_shown) else ""))

    def _body(self, number: int, offered: ConsultTool | None, limit: int) -> dict[str, Any]:
        body = self.asked.options | {
            "model": self.model,
            "messages": self.messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            "seed": (self.seed + number) % 2**31,
            "max_tokens": max(limit, self.settings.hidden_tokens) if offered else limit,
        }
        tools = ([offered.schema] if offered else []) + self.asked.tools
        return body | {"tools": tools} if tools else body

    def _remember(self, new: list[Message], number: int) -> None:
        for message in neutralise_messages(new):
            sent = sent_message(message)
            for call in sent.get("tool_calls", ()):
                call["id"] = f"{OUR_CALL}{number}_{call['id']}"
            if "tool_call_id" in sent:
                sent["tool_call_id"] = f"{OUR_CALL}{number}_{sent['tool_call_id']}"
            self.messages.append(sent)

    def _hand_back(self, turn: Turn) -> None:
        walked = self.walked
        walked.finish_reason = "tool_calls"
        walked.trajectory.messages.append(
            Message(role="assistant", content=turn.content, reasoning_content=turn.thought)
        )
        walked.trajectory.tokens += turn.tokens
        walked.calls = [
            {
                "id": f"call_{secrets.token_hex(12)}",
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
            }
            for call in turn.calls
        ]


_CUT = (StopReason.LENGTH, StopReason.TRUNCATED)


def _system_text(form: Form, asked: Asked, tool: ConsultTool) -> str:
    """Our text, then the client's own: the rules stand first."""
    question = question_of(asked) or "?"
    own = [Message(role="system", content=asked.system)] if asked.system else []
    return neutralise(with_rules(form, [*own, Message(role="user", content=question)], tool)[0].content)


def question_of(asked: Asked) -> str:
    """The text of the user's last message; empty where there is none."""
    return next((_text(m["content"]) for m in reversed(asked.messages) if m["role"] == "user"), "")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] if part.get("type") == "text" else f"[{part.get('type')}]" for part in content)


def _projected(message: dict[str, Any]) -> Message:
    """A client's message as text alone, for the record; what goes upstream is the message as it came."""
    said = [_text(message["content"])]
    said += [f"[calls {call['function']['name']}]" for call in message.get("tool_calls", ())]
    return Message(
        role=message["role"], content="\n".join(filter(None, said)), tool_call_id=message.get("tool_call_id")
    )


def consulted(walked: Walked) -> list[dict[str, Any]]:
    """The consultations of a choice as a client may be shown them: what was asked, and the rules that came back.

    What was asked is left out where a guard has not let the answer pass: the model wrote it.
    """
    shown = walked.verdict not in ("unsafe", "no_text")
    return [
        ({"query": one.query} if shown else {})
        | {"rules": [{"id": hit.id, "similarity": round(hit.similarity, 4)} for hit in one.hits]}
        for one in walked.trajectory.consultations
    ]
