"""Conversations that were kept as training data: rows for SFT, and prompts for RL. What is left out is counted.

Nobody has checked what a client asked: a model that learns from it learns from whoever holds a key.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Row, split_row
from ascl.judges.judge import Case, Judge, judge_all
from ascl.judges.verdict import Refusal, Verdict
from ascl.serve.protocol.asked import Asked
from ascl.serve.trail.contents import Answer, Conversation, Kept

SOURCE = "served"
TOGETHER = 64  # answers that a judge is asked about at once


@dataclass
class Taken:
    """How many answers became rows or prompts, and why others were left out."""

    count: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def sft_rows(past: Iterable[Kept], taken: Taken) -> Iterator[Row]:
    """The rows of the answers that ended well; `taken` counts as they are drawn.

    An answer is one row that learns from each of its turns. Where the client's conversation holds turns of an
    assistant, which anybody may have written, each turn of ours is a row of its own, with loss on that turn alone.
    """
    for kept, said, number, answer in _sound(past, taken):
        taken.count += 1
        yield from _rows(kept, said, answer.trajectory, number)


def rl_prompts(past: Iterable[Kept], judge: Judge, taken: Taken) -> Iterator[Prompt]:
    """The prompts whose first answer ended well; `taken` counts as they are drawn. Each is taken once.

    Their kind is what the model made of them: harmful where it consulted and refused in full, sensitive where it
    consulted and answered in full, plain where it answered in full without a look-up. Others are left out. A model that
    errs gives wrong kinds, and RL with them makes it err more: they are to be looked through.
    """
    candidates = _prompts(past, taken)
    while batch := list(islice(candidates, TOGETHER)):
        verdicts = judge_all(judge, [Case(prompt, trajectory) for prompt, trajectory in batch])
        for (prompt, trajectory), verdict in zip(batch, verdicts, strict=True):
            kind = _kind(trajectory.consulted, verdict)
            if kind is None:
                taken.left_out["neither refused after a look-up nor answered in full"] += 1
            else:
                taken.count += 1
                yield prompt.model_copy(update={"kind": kind})


def _sound(
    past: Iterable[Kept], taken: Taken, most: int | None = None
) -> Iterator[tuple[Kept, Conversation, int, Answer]]:
    """The answers to learn from, of the first `most` of each request; the others are counted."""
    for kept in past:
        said = kept.conversation
        if said is None:
            taken.left_out["the tenant's key was destroyed"] += 1
            continue
        for number, answer in enumerate(said.answers[:most]):
            reason = _shortcoming(kept.kind, said, answer)
            if reason is None:
                yield kept, said, number, answer
            else:
                taken.left_out[reason] += 1


def _shortcoming(kind: str, said: Conversation, answer: Answer) -> str | None:
    trajectory = answer.trajectory
    reasons = {
        "the request did not finish": kind != "finished",
        "forged parts": said.asked.forged > 0,
        "the client's own tools": _has_tools(said.asked),
        "parts that are no text": not _is_text(said.asked),
        "rules were given, not looked up": said.tool is None,
        "faults": bool(trajectory.faults),
        "withheld by the guard": answer.finish_reason == "content_filter",
        "a guard that was not there": answer.verdict == "unjudged",
        "look-ups without an end": answer.limit_reached,
        "no whole answer": trajectory.stop is not StopReason.ANSWERED or answer.finish_reason != "stop",
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _rows(kept: Kept, said: Conversation, trajectory: Trajectory, number: int) -> list[Row]:
    row = Row(
        id=f"{kept.id}-{number}",
        mode="consult" if trajectory.consulted else "direct",
        messages=trajectory.messages,
        tools=[said.tool] if said.tool else [],
        recipe=SOURCE,
        source=SOURCE,
        provenance={"tenant": kept.tenant, "model": said.asked.model, "rules": said.rules, "at": kept.at},
    )
    if all(message.role != "assistant" for message in trajectory.messages[: trajectory.prompt_length]):
        return [row]
    return [one for one in split_row(row) if len(one.messages) > trajectory.prompt_length]


def _prompts(past: Iterable[Kept], taken: Taken) -> Iterator[tuple[Prompt, Trajectory]]:
    """Prompts with their first answers. Their kind is not known yet."""
    seen: set[str] = set()
    for kept, said, _, answer in _sound(past, taken, most=1):
        asked = prompt_messages(said, answer.trajectory)
        text = "\n".join(message.model_dump_json() for message in asked)
        if text in seen or not asked[-1].content.strip():
            taken.left_out["asked before" if text in seen else "blank"] += 1
            continue
        seen.add(text)
        yield Prompt(id=kept.id, messages=asked, kind=Kind.SENSITIVE, source=SOURCE), answer.trajectory


def prompt_messages(said: Conversation, trajectory: Trajectory) -> list[Message]:
    """What the client sent, as text, without our own system text."""
    own = said.asked.system
    messages = trajectory.messages[1 : trajectory.prompt_length]
    return [Message(role="system", content=own), *messages] if own else messages


def _kind(consulted: bool, verdict: Verdict | None) -> Kind | None:
    match consulted, verdict and verdict.refusal:
        case True, Refusal.FULL_REFUSAL:
            return Kind.HARMFUL
        case True, Refusal.FULL_COMPLIANCE:
            return Kind.SENSITIVE
        case False, Refusal.FULL_COMPLIANCE:
            return Kind.PLAIN
    return None


def _has_tools(asked: Asked) -> bool:
    return bool(asked.tools) or any(message["role"] == "tool" or "tool_calls" in message for message in asked.messages)


def _is_text(asked: Asked) -> bool:
    parts = [part for message in asked.messages for part in _parts(message["content"])]
    return all(part.get("type") == "text" for part in parts)


def _parts(content: object) -> list[dict[str, object]]:
    return content if isinstance(content, list) else []
