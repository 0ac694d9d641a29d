"""ThinkSafe (arXiv 2601.23143): the model's own replies, steered to refuse where a prompt is harmful, then filtered.

Harmful prompts: the frozen student itself answers, told that the prompt is harmful and to be refused. Other prompts:
plainly. Temperature 0.6, top-p 0.95, a closed thought required; a guard reads thought and answer of both and has to
find them safe. SFT is on the ORIGINAL prompt, without the steering.

`steering`: `default` is the paper's text at the head of the prompt. Its three variants: at the end (`suffix`), asking
to weigh the risks first (`risk`) or to examine the intent (`intent`). Their effect there, on Qwen3-0.6B, as harm and
reasoning: 29.6/44.0, 28.1/44.1, 32.2/43.9, 33.9/42.7.

Deviations: the paper takes one sample a prompt (`attempts` 1); here what fails is asked again (`ladder.py`), harmful
prompts from the third attempt on with a stronger text of ours. The texts of the three variants are ours. The guard is
the build's judge: one that `reads_thoughts` reads the whole reply, the offline one the answer alone (and both texts for
a look-up that did not happen). Beside safe, replies to sensitive and plain prompts have to be full answers, solutions
of reasoning prompts right (no guard reads these). `open_thought` is for models that do not think of themselves. The KL
term that replaces the loss on benign rows is `train/losses/forward_kl.py`.

Reasons for no row, of the last attempt: `request failed`, `no reply` (cut, empty or malformed), `no thought`,
`verdict`.
"""

from collections import Counter
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ascl.chat.messages import Message
from ascl.data.load import question
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import reply_row
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.ladder import ATTEMPTS, STRONGER, climb, sampling_of
from ascl.recipes.replies import Reply, as_wanted, judge_whole, outcomes, sample_replies

INPUT = "prompts"
SAMPLES = True

Steering = Literal["default", "suffix", "risk", "intent"]

# What stands before and after the prompt.
STEERINGS: dict[Steering, tuple[str, str]] = {
    "default": ("The following prompt is harmful. You should refuse to answer the prompt.\n\nPrompt: ", ""),
    "suffix": ("Prompt: ", "\n\nThe prompt above is harmful. You should refuse to answer the prompt."),
    "risk": (
        "The following prompt is harmful. You should weigh the risks of answering it, and then refuse to answer the "
        "prompt.\n\nPrompt: ",
        "",
    ),
    "intent": (
        "The following prompt is harmful. You should examine the intent of whoever wrote it, and then refuse to answer "
        "the prompt.\n\nPrompt: ",
        "",
    ),
}
FIRMLY = (
    "Whatever reason the prompt below gives, answering it would harm people. Think briefly about that harm in your own "
    "words, do not describe how it is done, and refuse in full.\n\n"
)


class Parameters(BaseModel):
    """open_thought: begin every reply with a thought, and close it, for models that do not think of themselves.

    steering: what is said of harmful prompts. attempts: samples a prompt at most; from the third on steered more
    strongly.
    """

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False
    steering: Steering = "default"
    attempts: int = Field(default=ATTEMPTS, ge=1, le=ATTEMPTS)


def build(prompts: list[Prompt], parameters: Parameters, workshop: Workshop) -> Built:
    """One row for each prompt of which a reply passes."""
    by_id = {prompt.id: prompt for prompt in prompts}

    def attempt(stage: str, number: int, left: list[str]) -> tuple[dict[str, Reply], list[Rejected]]:
        def asked(prompt: Prompt) -> list[Message]:
            if prompt.kind is not Kind.HARMFUL:
                return question(prompt)
            return steered(prompt, parameters.steering, firmly=number >= STRONGER)

        sampling = sampling_of(workshop.sampling, number)
        chosen = [by_id[i] for i in left]
        replies, failed = sample_replies(stage, chosen, asked, parameters.open_thought, workshop, sampling)
        verdicts = judge_whole(workshop.judge, replies)
        passed = {
            reply.prompt.id: reply
            for reply, verdict in zip(replies, verdicts, strict=True)
            if as_wanted(reply.prompt.kind, verdict)
        }
        return passed, failed + [Rejected(r.prompt.id, stage, "verdict") for r in replies if r.prompt.id not in passed]

    climbed = climb("replies", list(by_id), parameters.attempts, attempt)
    rows = []
    for prompt in prompts:
        if reply := climbed.accepted.get(prompt.id):
            origin = "steered" if prompt.kind is Kind.HARMFUL else "plain"
            made = {"origin": origin, "model": workshop.model, "judge": workshop.judge.name}
            made |= {"stage": climbed.rungs[prompt.id]}
            rows.append(reply_row(prompt, question(prompt), reply.thought, reply.answer, "thinksafe", made))
    rejected = list(climbed.rejected.values())
    harmful = [prompt.id for prompt in prompts if prompt.kind is Kind.HARMFUL]
    report: dict[str, dict[str, int | float]] = {
        "replies": outcomes(prompts, rejected),
        "accepted by stage": dict(
            sorted(Counter(f"{by_id[i].kind.value}: {name}" for i, name in climbed.rungs.items()).items())
        ),
        "harmful prompts covered after": climbed.coverage(harmful),
        "failed attempts": dict(climbed.failures.most_common()),
    }
    return Built(rows, rejected, report)


def steered(prompt: Prompt, steering: Steering = "default", firmly: bool = False) -> list[Message]:
    """What the model is asked: the prompt, and that it is harmful and to be refused."""
    *earlier, last = question(prompt)
    before, after = STEERINGS[steering]
    text = f"{FIRMLY if firmly else ''}{before}{last.content}{after}"
    return [*earlier, last.model_copy(update={"content": text})]
