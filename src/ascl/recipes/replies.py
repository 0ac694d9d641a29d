"""What recipes ask of a sampled reply: that it ended, that it thought, what a judge says of it."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ascl.chat.messages import Message, Opening, StopReason, Trajectory
from ascl.chat.phrases import unbroken
from ascl.consult.rollout import start
from ascl.data.load import question
from ascl.data.prompt import Kind, Prompt
from ascl.judges.judge import Case, Judge, judge_all, unread
from ascl.judges.verdict import Refusal, Verdict
from ascl.models.sampling import Sampling
from ascl.recipes.build import Rejected, Workshop
from ascl.sampling.to_file import Job


class Reply(NamedTuple):
    """A model's reply to a prompt."""

    prompt: Prompt
    thought: str
    answer: str


def sample_replies(
    stage: str,
    prompts: list[Prompt],
    messages: Callable[[Prompt], list[Message]],
    open_thought: bool,
    workshop: Workshop,
    sampling: Sampling | None = None,
) -> tuple[list[Reply], list[Rejected]]:
    """The whole replies with a closed thought to the messages made of each prompt, and why the others are none.

    The reasons: those of `why_none`, and `no thought`. open_thought: for models that do not think of themselves; every
    reply begins with an open thought, and one that is left open is closed after its last whole sentence, for the model
    to go on with the answer (budget forcing, arXiv 2501.19393). sampling: instead of the workshop's.
    """
    jobs = [Job(prompt.id, messages(prompt), Opening() if open_thought else None) for prompt in prompts]
    return _replies(stage, prompts, jobs, open_thought, workshop, sampling)


def sample_behind(
    stage: str, prompts: list[Prompt], prefills: dict[str, Opening], open_thought: bool, workshop: Workshop
) -> tuple[list[Reply], list[Rejected]]:
    """`sample_replies` to the prompts themselves, each reply going on from its prefill (by prompt id)."""
    jobs = [Job(prompt.id, question(prompt), prefills[prompt.id]) for prompt in prompts]
    return _replies(stage, prompts, jobs, open_thought, workshop)


def _replies(
    stage: str,
    prompts: list[Prompt],
    jobs: list[Job],
    close: bool,
    workshop: Workshop,
    sampling: Sampling | None = None,
) -> tuple[list[Reply], list[Rejected]]:
    found = workshop.sample(stage, jobs, sampling=sampling)
    if close:
        begun = {job.id: begun_thought(found.get(job.id)) for job in jobs}
        again = [Job(job.id, job.messages, Opening(begun[job.id], closed=True)) for job in jobs if begun[job.id]]
        found = {i: t for i, t in found.items() if not begun[i]} | workshop.sample(
            f"{stage}_closed", again, sampling=sampling
        )
    replies: list[Reply] = []
    rejected: list[Rejected] = []
    for prompt in prompts:
        trajectory = found.get(prompt.id)
        answer = whole_answer(trajectory)
        thought = (trajectory.messages[-1].reasoning_content or "").strip() if trajectory else ""
        if answer and thought:
            replies.append(Reply(prompt, thought, answer))
        else:
            rejected.append(Rejected(prompt.id, stage, "no thought" if answer else why_none(trajectory)))
    return replies, rejected


def begun_thought(trajectory: Trajectory | None) -> str:
    """The whole sentences of a thought that was left open; empty where there are none, or it was closed."""
    if trajectory is None or trajectory.stop is not StopReason.TRUNCATED or trajectory.messages[-1].content:
        return ""
    whole = re.match(r".*[^\W\d][.!?]", trajectory.messages[-1].reasoning_content or "", re.DOTALL)
    return whole.group() if whole else ""  # the number of a list item ends no sentence


def unsafe_replies(prompts: list[Prompt], open_thought: bool, workshop: Workshop) -> tuple[list[Reply], list[Rejected]]:
    """The model's own unsafe replies to the harmful prompts (stage `traces`), and why the other prompts have none.

    The reasons: `not harmful` (the prompt), those of `sample_replies`, `already safe` (thought and answer are).
    """
    harmful = [prompt for prompt in prompts if prompt.kind is Kind.HARMFUL]
    rejected = [Rejected(p.id, "traces", "not harmful") for p in prompts if p.kind is not Kind.HARMFUL]
    replies, failed = sample_replies("traces", harmful, question, open_thought, workshop)
    verdicts = judge_whole(workshop.judge, replies)
    unsafe = [reply for reply, verdict in zip(replies, verdicts, strict=True) if not verdict.safe]
    bad = {reply.prompt.id for reply in unsafe}
    safe = [Rejected(r.prompt.id, "traces", "already safe") for r in replies if r.prompt.id not in bad]
    return unsafe, rejected + failed + safe


def whole_answer(trajectory: Trajectory | None) -> str:
    """The answer of a model that ended its turn; empty where there is none (`why_none` says why)."""
    if trajectory is None or trajectory.stop is not StopReason.ANSWERED:
        return ""
    return (trajectory.answer or "").strip()


def why_none(trajectory: Trajectory | None) -> str:
    """The reason where `whole_answer` is empty: `request failed`, or `no reply` (cut, empty or malformed)."""
    return "request failed" if trajectory is None else "no reply"


def judge_replies(judge: Judge, replies: Sequence[Reply]) -> list[Verdict]:
    """The verdicts on the answers of replies, whoever wrote them; thoughts are read for claimed look-ups alone."""
    cases = [_case(reply, reply.answer) for reply in replies]
    return [verdict or unread(judge.name, case) for verdict, case in zip(judge_all(judge, cases), cases, strict=True)]


def judge_whole(judge: Judge, replies: Sequence[Reply]) -> list[Verdict]:
    """`judge_replies`, where safe is only what the judge also finds safe with its thought.

    A judge that `reads_thoughts` (`judges/judge.py`) is shown thought and answer as one text as well; to any other the
    answer stands for the reply. Solutions of reasoning problems are graded alone.
    """
    verdicts = judge_replies(judge, replies)
    if not getattr(judge, "reads_thoughts", False):
        return verdicts
    asked = [i for i, verdict in enumerate(verdicts) if verdict.safe]
    cases = [_case(replies[i], f"{replies[i].thought}\n\n{replies[i].answer}") for i in asked]
    for i, whole in zip(asked, judge.judge_many(cases), strict=True):
        if whole is None or not whole.safe:
            said = f"with its thought: {whole.reason if whole else 'no readable verdict'}"
            verdicts[i] = verdicts[i].model_copy(update={"safe": whole.safe if whole else None, "reason": said})
    return verdicts


def _case(reply: Reply, shown: str) -> Case:
    """A reply as a judge is asked about it, with `shown` in the place of its answer."""
    trajectory = start(reply.prompt.id, reply.prompt.messages)
    trajectory.messages.append(Message(role="assistant", content=shown, reasoning_content=reply.thought))
    trajectory.stop = StopReason.ANSWERED
    return Case(reply.prompt, trajectory)


def as_wanted(kind: Kind, verdict: Verdict) -> bool:
    """Whether a reply does what its prompt asks for: refuse or stay safe, answer in full and safely, solve."""
    if kind is Kind.REASONING:
        return bool(verdict.correct)
    if kind is Kind.HARMFUL:
        return bool(verdict.safe) and not verdict.claims_consultation
    return verdict.refusal is Refusal.FULL_COMPLIANCE and bool(verdict.safe) and not verdict.claims_consultation


def read_labelled(text: str, labels: Sequence[str]) -> list[str] | None:
    """The texts after `Label:` lines; None unless each label stands exactly once, in order, with a text after it.

    A label may be dressed (`**Label:**`, `## Label:`) and written in any case. Nothing may stand before the first.
    """
    names = "|".join(re.escape(label) for label in labels)
    found = list(re.finditer(rf"^[ \t#*_]*({names})[ \t*_]*:[ \t*_]*", text, re.IGNORECASE | re.MULTILINE))
    if [match.group(1).lower() for match in found] != [label.lower() for label in labels]:
        return None
    if text[: found[0].start()].strip():
        return None
    ends = [match.start() for match in found[1:]] + [len(text)]
    parts = [unbroken(text[match.end() : end]).strip() for match, end in zip(found, ends, strict=True)]
    return parts if all(parts) else None


def outcomes(prompts: list[Prompt], rejected: list[Rejected]) -> dict[str, int | float]:
    """How many prompts of each kind were accepted, or rejected for which reason."""
    reasons = {r.id: r.reason for r in rejected}
    return dict(sorted(Counter(f"{p.kind.value}: {reasons.get(p.id, 'accepted')}" for p in prompts).items()))
