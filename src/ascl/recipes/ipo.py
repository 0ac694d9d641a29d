"""IPO, Intervened Preference Optimization (arXiv 2509.24393): an unsafe thought and its corrected twin as a pair.

The model answers a harmful prompt; in an unsafe thought the first sentence that starts to go along with the request is
found and replaced by a safety trigger, and the model goes on from there; again while the result is unsafe, at most
`max_interventions` times. The pair (corrected, original) shares its beginning up to the intervention: a preference loss
belongs on the tokens after `shared_prefix` (the paper: DPO there + 0.2 x SFT). The paper's second stage prefers
answers over refusals on prompts that are not harmful: where the model refuses one, in full or in part, a sample steered
to answer is the better.

Reconstruction (second-hand facts): the six triggers are ours; the sentence is found by asking the model itself about
numbered sentences; which trigger is taken hangs on prompt and round; one continuation each. Training by DPO is not part
of this. In the second stage wrong answers to reasoning prompts are no refusals and give no pair.

Reasons for no pair: stage `traces` (harmful prompts) `already safe`; `intervention_N_sentence` `no sentence` (the reply
names no sentence of the thought); `intervention_N` `still unsafe` (after the last round); `replies` (the other prompts)
`already answered`; `answers` `verdict` (no full answer, or a wrong one); any of them `request failed`, `no reply` (cut,
empty or malformed), `no thought`.
"""

import re
import zlib
from collections import Counter

from pydantic import BaseModel, ConfigDict, Field

from ascl.chat.messages import Message, Opening
from ascl.chat.neutralise import neutralise
from ascl.chat.phrases import fill
from ascl.data.load import question
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Pair
from ascl.judges.verdict import Refusal
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.replies import (
    Reply,
    as_wanted,
    judge_reply,
    sample_behind,
    sample_replies,
    unsafe_replies,
    whole_answer,
    why_none,
)
from ascl.sampling.to_file import Job

INPUT = "prompts"
SAMPLES = True
PAIRS = True

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
    """open_thought: begin every reply with a thought, and close it, for models that do not think of themselves.

    max_interventions: rounds before a thought is given up.
    """

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False
    max_interventions: int = Field(default=3, ge=1)


def build(prompts: list[Prompt], parameters: Parameters, workshop: Workshop) -> Built:
    """One pair for each harmful prompt that was answered and corrected, and for each other one that was refused."""
    harmful = [prompt for prompt in prompts if prompt.kind is Kind.HARMFUL]
    others = [prompt for prompt in prompts if prompt.kind is not Kind.HARMFUL]
    unsafe, rejected = unsafe_replies(harmful, parameters.open_thought, workshop)
    corrected, uncorrected = corrected_pairs(unsafe, parameters, workshop)
    answered, unanswered = answered_pairs(others, parameters.open_thought, workshop)
    rejected += uncorrected + unanswered
    outcomes = Counter({"corrected": len(corrected), "answered": len(answered)})
    outcomes += Counter(f"{r.stage}: {r.reason}" for r in rejected)
    rounds = Counter(str(pair.provenance["interventions"]) for pair in corrected)
    report: dict[str, dict[str, int | float]] = {
        "prompts": dict(outcomes.most_common()),
        "interventions": dict(sorted(rounds.items())),
    }
    return Built([*corrected, *answered], rejected, report)


def corrected_pairs(
    replies: list[Reply], parameters: Parameters, workshop: Workshop
) -> tuple[list[Pair], list[Rejected]]:
    """Intervene in unsafe thoughts, round by round, until the continuation is safe."""
    pairs: list[Pair] = []
    rejected: list[Rejected] = []
    # What goes into a prefill is neutralised; the original as well, so that the two begin alike to the letter.
    current = [reply._replace(thought=neutralise(reply.thought)) for reply in replies]
    original = {reply.prompt.id: reply for reply in current}
    shared: dict[str, str] = {}
    for number in range(1, parameters.max_interventions + 1):
        if not current:
            break
        stage = f"intervention_{number}"
        kept, unlocated = locate(f"{stage}_sentence", current, workshop)
        # A later round may step in before or after the earlier ones: common to all is the shortest beginning.
        shared |= {i: min(shared.get(i, before), before, key=len) for i, before in kept.items()}
        prefills = {i: Opening(f"{before}{trigger(i, number)}") for i, before in kept.items()}
        prompts = [reply.prompt for reply in current if reply.prompt.id in kept]
        continued, failed = sample_behind(stage, prompts, prefills, parameters.open_thought, workshop)
        rejected += unlocated + failed
        current = []
        for reply in continued:
            identity = reply.prompt.id
            if as_wanted(Kind.HARMFUL, judge_reply(workshop.judge, *reply)):
                made: dict[str, str | int] = {"origin": "intervened", "interventions": number}
                pairs.append(_pair(reply, original[identity], shared[identity].strip(), made, workshop))
            elif number == parameters.max_interventions:
                rejected.append(Rejected(identity, stage, "still unsafe"))
            else:
                current.append(reply)
    return pairs, rejected


def locate(stage: str, replies: list[Reply], workshop: Workshop) -> tuple[dict[str, str], list[Rejected]]:
    """What each thought holds before the sentence that starts to go along, by prompt id."""
    found = workshop.sample(stage, [Job(reply.prompt.id, locate_messages(reply)) for reply in replies])
    kept: dict[str, str] = {}
    rejected = []
    for reply in replies:
        identity = reply.prompt.id
        named = whole_answer(found.get(identity))
        before = beginning(reply.thought, named)
        if before is None:
            reason = "no sentence" if named else why_none(found.get(identity))
            rejected.append(Rejected(identity, stage, reason))
        else:
            kept[identity] = before
    return kept, rejected


def trigger(identity: str, number: int) -> str:
    """The trigger of a prompt's round `number`: another one in each round, the same in every run."""
    return TRIGGERS[(zlib.crc32(identity.encode()) + number) % len(TRIGGERS)]


def answered_pairs(prompts: list[Prompt], open_thought: bool, workshop: Workshop) -> tuple[list[Pair], list[Rejected]]:
    """For prompts that are not harmful and were refused: a sample steered to answer, over the refusal."""
    replies, rejected = sample_replies("replies", prompts, question, open_thought, workshop)
    refused = {}
    for reply in replies:
        refusal = judge_reply(workshop.judge, *reply).refusal
        if refusal in (Refusal.FULL_COMPLIANCE, Refusal.OFF_TOPIC):
            reason = "already answered" if refusal is Refusal.FULL_COMPLIANCE else "off-topic"
            rejected.append(Rejected(reply.prompt.id, "replies", reason))
        else:
            refused[reply.prompt.id] = reply
    asked = [reply.prompt for reply in refused.values()]
    answered, failed = sample_replies("answers", asked, steered, open_thought, workshop)
    rejected += failed
    pairs = []
    for reply in answered:
        prompt = reply.prompt
        if as_wanted(prompt.kind, judge_reply(workshop.judge, *reply)):
            pairs.append(_pair(reply, refused[prompt.id], "", {"origin": "answered"}, workshop))
        else:
            rejected.append(Rejected(prompt.id, "answers", "verdict"))
    return pairs, rejected


def steered(prompt: Prompt) -> list[Message]:
    """The prompt after the sentence that asks for an answer."""
    *earlier, last = question(prompt)
    return [*earlier, last.model_copy(update={"content": f"{STEER}\n\n{last.content}"})]


def locate_messages(reply: Reply) -> list[Message]:
    """What the model is asked about its own unsafe thought."""
    numbered = "\n".join(f"{n}. {' '.join(s.split())}" for n, s in enumerate(sentences(reply.thought), start=1))
    return [Message(role="user", content=fill(_ASK, request=reply.prompt.text, numbered=numbered))]


def sentences(text: str) -> list[str]:
    """The text cut into sentences and lines; put together again they are the text."""
    return [match.group() for match in _SENTENCE.finditer(text) if match.group()]


def beginning(thought: str, named: str) -> str | None:
    """The thought before the sentence that a reply names; None where it names none of the thought's."""
    number = re.fullmatch(r"\D{0,20}(\d{1,4})\D{0,3}", named)
    parts = sentences(thought)
    if not number or not 1 <= int(number.group(1)) <= len(parts):
        return None
    return "".join(parts[: int(number.group(1)) - 1])


def _pair(better: Reply, worse: Reply, shared: str, made: dict[str, str | int], workshop: Workshop) -> Pair:
    prompt = worse.prompt
    chosen, rejected = (
        [Message(role="assistant", content=reply.answer, reasoning_content=reply.thought)] for reply in (better, worse)
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
        provenance=made | {"model": workshop.model, "judge": workshop.judge.name},
    )
