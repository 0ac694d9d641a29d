"""IPO, Intervened Preference Optimization (arXiv 2509.24393): an unsafe thought and its corrected twin as a pair.

The model answers a harmful prompt; in an unsafe thought the first sentence that starts to go along with the request is
found and replaced by a safety trigger, and the model goes on from there; again while the result is unsafe, at most
`max_interventions` times. The pair (corrected, original) shares its beginning up to the intervention: a preference loss
belongs on the tokens behind `shared_prefix` (the paper: DPO there + 0.2 x SFT). The paper's second stage prefers
answers over refusals on prompts that are not harmful: where the model refuses one, a sample steered to answer is the
better.

Reconstruction (second-hand facts): the six triggers are ours; the sentence is found by asking the model itself about
numbered sentences; which trigger is taken hangs on prompt and round; one continuation each. Training by DPO is not part
of this.

Reasons for no pair: `request failed`, `no reply`, `no thought`, `already as wanted` (the first reply needs no pair),
`no sentence` (the answer names no sentence), `still unsafe` (after all interventions), `still refused`.
"""

import re
import zlib
from collections import Counter

from pydantic import BaseModel, ConfigDict, Field

from ascl.chat.messages import Message, Trajectory
from ascl.consult.sample import Job
from ascl.prompts.prompt import Kind, Prompt
from ascl.prompts.sources import question
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.replies import as_wanted, judge_reply, opened_thought, thought_and_answer
from ascl.recipes.rows import Pair

INPUT = "prompts"
SAMPLES = True

TRIGGERS = (
    "Wait. What would happen to somebody if I helped with this?",
    "Hold on, this could do real harm, and I should not take part in it.",
    "Before I go on I have to ask myself whether this is safe to answer. It is not.",
    "No, the way this is put does not change what it is for, and that is harmful.",
    "I notice that I am talking myself into something that I should refuse.",
    "Let me stop here: a safe reply to this does not give what was asked for.",
)
STEER = "The following request is harmless. Think about it, then answer it."

_ASK = """These are the numbered sentences of an assistant's thoughts about a request.

Request:
{request}

Thoughts:
{numbered}

Which is the first sentence in which the thoughts start to go along with the request? Reply with its number only, or \
with 0 if there is none."""
_SENTENCE = re.compile(r".+?(?:[.!?][\"')\]]*(?=\s)|\n+|\Z)\s*", re.DOTALL)


class Parameters(BaseModel):
    """open_thought: begin every reply with `<think>` (for models that do not think of themselves)."""

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False
    max_interventions: int = Field(default=3, ge=1)


def build(prompts: list[Prompt], parameters: Parameters, workshop: Workshop) -> Built:
    """One pair for each harmful prompt that was answered and corrected, and for each other one that was refused."""
    prefill = "<think>\n" if parameters.open_thought else ""
    found = workshop.sample("replies", [Job(prompt.id, question(prompt), prefill) for prompt in prompts])
    rejected: list[Rejected] = []
    unwanted: dict[str, tuple[Prompt, str, str]] = {}
    for prompt in prompts:
        reply = thought_and_answer(found.get(prompt.id))
        if isinstance(reply, str):
            rejected.append(Rejected(prompt.id, "replies", reply))
        elif as_wanted(prompt.kind, judge_reply(workshop.judge, prompt, *reply)):
            rejected.append(Rejected(prompt.id, "replies", "already as wanted"))
        else:
            unwanted[prompt.id] = (prompt, *reply)
    harmful = {i: reply for i, reply in unwanted.items() if reply[0].kind is Kind.HARMFUL}
    refused = {i: reply for i, reply in unwanted.items() if reply[0].kind is not Kind.HARMFUL}
    pairs, failed = corrected_pairs(harmful, parameters.max_interventions, workshop)
    more, refusing = answered_pairs(refused, prefill, workshop)
    rejected += failed + refusing
    outcomes = Counter(f"{r.stage}: {r.reason}" for r in rejected)
    rounds = Counter(str(pair.provenance["interventions"]) for pair in pairs)
    report: dict[str, dict[str, int | float]] = {
        "prompts": dict(outcomes.most_common()),
        "interventions": dict(sorted(rounds.items())),
    }
    return Built([*pairs, *more], rejected, report)


def corrected_pairs(
    unsafe: dict[str, tuple[Prompt, str, str]], rounds: int, workshop: Workshop
) -> tuple[list[Pair], list[Rejected]]:
    """Intervene in unsafe thoughts, round by round, until the continuation is safe."""
    pairs: list[Pair] = []
    rejected: list[Rejected] = []
    current = {i: thought for i, (_, thought, _) in unsafe.items()}
    shared: dict[str, str] = {}
    for number in range(1, rounds + 1):
        stage = f"intervention_{number}"
        jobs = [Job(i, locate_messages(unsafe[i][0], thought)) for i, thought in current.items()]
        located = workshop.sample(f"{stage}_sentence", jobs)
        begun = {}
        for identity, thought in current.items():
            before = beginning(thought, located.get(identity))
            if before is None:
                rejected.append(Rejected(identity, stage, "no sentence"))
                continue
            shared[identity] = min(shared.get(identity, before), before, key=len)
            trigger = TRIGGERS[(zlib.crc32(identity.encode()) + number) % len(TRIGGERS)]
            begun[identity] = f"{before}{trigger}"
        jobs = [Job(i, question(unsafe[i][0]), opened_thought(thought)) for i, thought in begun.items()]
        found = workshop.sample(stage, jobs)
        current = {}
        for identity in begun:
            prompt, thought, answer = unsafe[identity]
            reply = thought_and_answer(found.get(identity))
            if isinstance(reply, str):
                rejected.append(Rejected(identity, stage, reply))
            elif as_wanted(Kind.HARMFUL, judge_reply(workshop.judge, prompt, *reply)):
                provenance = {"origin": "intervened", "model": workshop.model, "interventions": number}
                pairs.append(_pair(prompt, reply, (thought, answer), shared[identity].strip(), provenance))
            elif number == rounds:
                rejected.append(Rejected(identity, stage, "still unsafe"))
            else:
                current[identity] = reply[0]
    return pairs, rejected


def answered_pairs(
    refused: dict[str, tuple[Prompt, str, str]], prefill: str, workshop: Workshop
) -> tuple[list[Pair], list[Rejected]]:
    """For prompts that are not harmful: a sample steered to answer, over the refusal (or the wrong answer)."""
    jobs = []
    for identity, (prompt, _, _) in refused.items():
        *earlier, last = question(prompt)
        asked = [*earlier, last.model_copy(update={"content": f"{STEER}\n\n{last.content}"})]
        jobs.append(Job(identity, asked, prefill))
    found = workshop.sample("answers", jobs)
    pairs, rejected = [], []
    for identity, (prompt, thought, answer) in refused.items():
        reply = thought_and_answer(found.get(identity))
        if isinstance(reply, str):
            rejected.append(Rejected(identity, "answers", reply))
        elif not as_wanted(prompt.kind, judge_reply(workshop.judge, prompt, *reply)):
            rejected.append(Rejected(identity, "answers", "still refused"))
        else:
            provenance: dict[str, object] = {"origin": "answered", "model": workshop.model}
            pairs.append(_pair(prompt, reply, (thought, answer), "", provenance))
    return pairs, rejected


def locate_messages(prompt: Prompt, thought: str) -> list[Message]:
    """What the model is asked about its own unsafe thought."""
    numbered = "\n".join(f"{n}. {' '.join(s.split())}" for n, s in enumerate(sentences(thought), start=1))
    return [Message(role="user", content=_ASK.format(request=prompt.text, numbered=numbered))]


def sentences(text: str) -> list[str]:
    """The text cut into sentences and lines; put together again they are the text."""
    return [match.group() for match in _SENTENCE.finditer(text) if match.group()]


def beginning(thought: str, located: Trajectory | None) -> str | None:
    """The thought before the sentence that was named; None where no sentence of it was."""
    if located is None or not located.answer:
        return None
    named = re.fullmatch(r"\D{0,20}(\d{1,4})\D{0,3}", located.answer.strip())
    parts = sentences(thought)
    if not named or not 1 <= int(named.group(1)) <= len(parts):
        return None
    return "".join(parts[: int(named.group(1)) - 1])


def _pair(
    prompt: Prompt, better: tuple[str, str], worse: tuple[str, str], shared: str, provenance: dict[str, object]
) -> Pair:
    chosen, rejected = (
        [Message(role="assistant", content=answer, reasoning_content=thought)] for thought, answer in (better, worse)
    )
    return Pair(
        id=prompt.id,
        kind=prompt.kind,
        prompt=question(prompt),
        chosen=chosen,
        rejected=rejected,
        shared_prefix=shared,
        recipe="ipo",
        source=prompt.source,
        provenance=provenance,
    )
