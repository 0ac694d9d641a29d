"""IPO, Intervened Preference Optimization (arXiv 2509.24393): an unsafe thought and its corrected twin as a pair.

The model answers a harmful prompt; in an unsafe thought the first sentence that starts to go along with the request is
found and replaced by a safety trigger, and the model goes on from there; again while the result is unsafe, in up to six
rounds with another trigger each. The share that is still unsafe after each round is reported (the paper: 100, 60, 40,
25, 18, 15 %, with 100 before the first). The pair (corrected, original) shares its beginning up to the intervention: a
preference loss belongs on the tokens after `shared_prefix` (the paper: DPO there + 0.2 x SFT). The second, benign stage
prefers the model's ordinary reply to a prompt that is not harmful over a refusal, drawn by telling it that the prompt
is harmful.

Reconstruction (second-hand facts): the six triggers are ours; one continuation each. The sentence is found by asking a
locator about numbered sentences: a model of its own where one is named (the paper: GPT-4o, mean harm of thoughts 16.2;
the target itself 21.8), else the target. Which trigger is taken hangs on prompt and round. The steering of the benign
stage is ThinkSafe's. Training is `train/preference.py`. A thought is safe if the judge finds it so with its answer,
where it `reads_thoughts`; else the answer stands for both.

Reasons for no pair: stage `traces` (harmful prompts) `already safe`; `intervention_N_sentence` `no sentence` (the reply
names no sentence of the thought); `intervention_N` `still unsafe` (after the last round); `replies` (the other prompts)
`verdict` (no full and safe answer, or a wrong one); `refusals` `no refusal` (the steered sample does not refuse in
full); any of them `request failed`, `no reply` (cut, empty or malformed), `no thought`.
"""

import re
import zlib
from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ascl.chat.messages import Message, Opening
from ascl.chat.neutralise import neutralise
from ascl.chat.phrases import fill
from ascl.data.load import question
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Pair
from ascl.judges.verdict import Refusal
from ascl.models.sampling import Client
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.replies import (
    Reply,
    as_wanted,
    judge_replies,
    judge_whole,
    sample_behind,
    sample_replies,
    unsafe_replies,
    whole_answer,
    why_none,
)
from ascl.recipes.sentences import numbered, sentences
from ascl.recipes.thinksafe import steered
from ascl.sampling.to_file import Job
from ascl.servers import optional_address

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

_ASK = """These are the numbered sentences of an assistant's thoughts about a request.

Request:
{request}

Thoughts:
{numbered}

Which is the first sentence in which the thoughts start to go along with the request? Reply with its number only, or \
with 0 if there is none."""


class Parameters(BaseModel):
    """open_thought: begin every reply with a thought, and close it, for models that do not think of themselves.

    max_interventions: rounds before a thought is given up; one a trigger at most. locator: the model that finds the
    sentence, behind `locator_base_url` or in this process; the target, unless named.
    """

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False
    max_interventions: int = Field(default=len(TRIGGERS), ge=1, le=len(TRIGGERS))
    locator: str | None = None
    locator_base_url: Annotated[str | None, AfterValidator(optional_address)] = None

    @model_validator(mode="after")
    def _check_locator(self) -> "Parameters":
        if self.locator_base_url is not None and self.locator is None:
            raise ValueError("locator_base_url: name the locator that it serves as well")
        return self


def build(prompts: list[Prompt], parameters: Parameters, workshop: Workshop) -> Built:
    """One pair for each harmful prompt that was answered and corrected, and for each other one that was answered."""
    harmful = [prompt for prompt in prompts if prompt.kind is Kind.HARMFUL]
    others = [prompt for prompt in prompts if prompt.kind is not Kind.HARMFUL]
    unsafe, rejected = unsafe_replies(harmful, parameters.open_thought, workshop)
    corrected, uncorrected = corrected_pairs(unsafe, parameters, workshop)
    answered, unanswered = answered_pairs(others, parameters.open_thought, workshop)
    rejected += uncorrected + unanswered
    outcomes = Counter({"corrected": len(corrected), "answered": len(answered)})
    outcomes += Counter(f"{r.stage}: {r.reason}" for r in rejected)
    report: dict[str, dict[str, int | float]] = {
        "prompts": dict(outcomes.most_common()),
        "share unsafe after": unsafe_shares(len(unsafe), corrected, parameters.max_interventions),
    }
    return Built([*corrected, *answered], rejected, report)


def unsafe_shares(unsafe: int, corrected: list[Pair], rounds: int) -> dict[str, int | float]:
    """Of the unsafe thoughts, the share that no round up to each has made safe; what was given up counts as unsafe.

    (unsafe - sum over n <= round of the pairs that took n interventions) / unsafe; empty without unsafe thoughts.
    """
    took = Counter(int(pair.provenance["interventions"]) for pair in corrected)
    names = ["no round", *(f"round {n}" for n in range(1, rounds + 1))]
    return {name: (unsafe - sum(took[n] for n in range(1, r + 1))) / unsafe for r, name in enumerate(names) if unsafe}


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
    locator = workshop.open_client(parameters.locator, parameters.locator_base_url)
    for number in range(1, parameters.max_interventions + 1):
        if not current:
            break
        stage = f"intervention_{number}"
        kept, unlocated = locate(f"{stage}_sentence", current, workshop, locator)
        # A later round may step in before or after the earlier ones: common to all is the shortest beginning.
        shared |= {i: min(shared.get(i, before), before, key=len) for i, before in kept.items()}
        prefills = {i: Opening(f"{before}{trigger(i, number)}") for i, before in kept.items()}
        prompts = [reply.prompt for reply in current if reply.prompt.id in kept]
        continued, failed = sample_behind(stage, prompts, prefills, parameters.open_thought, workshop)
        rejected += unlocated + failed
        current = []
        for reply, verdict in zip(continued, judge_whole(workshop.judge, continued), strict=True):
            identity = reply.prompt.id
            if as_wanted(Kind.HARMFUL, verdict):
                made: dict[str, str | int] = {"origin": "intervened", "interventions": number}
                pairs.append(_pair(reply, original[identity], shared[identity].strip(), made, workshop))
            elif number == parameters.max_interventions:
                rejected.append(Rejected(identity, stage, "still unsafe"))
            else:
                current.append(reply)
    return pairs, rejected


def locate(
    stage: str, replies: list[Reply], workshop: Workshop, locator: Client
) -> tuple[dict[str, str], list[Rejected]]:
    """What each thought holds before the sentence that starts to go along, by prompt id."""
    jobs = [Job(reply.prompt.id, locate_messages(reply)) for reply in replies]
    found = workshop.sample(stage, jobs, client=locator)
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
    """For prompts that are not harmful: the model's ordinary reply, over a refusal that it was steered to."""
    replies, rejected = sample_replies("replies", prompts, question, open_thought, workshop)
    answered = {}
    for reply, verdict in zip(replies, judge_whole(workshop.judge, replies), strict=True):
        if as_wanted(reply.prompt.kind, verdict):
            answered[reply.prompt.id] = reply
        else:
            rejected.append(Rejected(reply.prompt.id, "replies", "verdict"))
    asked = [reply.prompt for reply in answered.values()]
    refusals, failed = sample_replies("refusals", asked, steered, open_thought, workshop)
    rejected += failed
    pairs = []
    for reply, verdict in zip(refusals, judge_replies(workshop.judge, refusals), strict=True):
        identity = reply.prompt.id
        if verdict.refusal is Refusal.FULL_REFUSAL:
            pairs.append(_pair(answered[identity], reply, "", {"origin": "answered"}, workshop))
        else:
            rejected.append(Rejected(identity, "refusals", "no refusal"))
    return pairs, rejected


def locate_messages(reply: Reply) -> list[Message]:
    """What the locator is asked about an unsafe thought."""
    return [Message(role="user", content=fill(_ASK, request=reply.prompt.text, numbered=numbered(reply.thought)))]


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
