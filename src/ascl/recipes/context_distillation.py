"""Context distillation of the rules, as in Deliberative Alignment (arXiv 2412.16339): rules in the prompt when
sampling, gone when training.

The model answers with the rules that fit the prompt in its system prompt, thinks about them, and is filtered; SFT is on
the bare prompt, so that the rules end up in the weights. It is the opposite of ASCL, and its natural rival.

Deviations: the paper gives category specifications written by hand, and filters with a reward model that sees them;
here the top rules come from the rule book by search (the `rag` variant), and the filter is the build's judge. A reply
that talks of the rules as something it was given (`refers to the prompt`) would make no sense without them; the search
for such talk goes by words, and loses a few replies that speak of other rules.

Reasons for no row: `request failed`, `no reply` (cut, empty or malformed), `no thought`, `refers to the prompt`,
`verdict`.
"""

import re

from pydantic import BaseModel, ConfigDict

from ascl.consult.variants import with_rules
from ascl.data.load import question
from ascl.data.prompt import Prompt
from ascl.data.row import Row, reply_row
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.replies import as_wanted, judge_replies, outcomes, sample_replies

INPUT = "prompts"
SAMPLES = True

_RULES = r"(?:rules?|polic(?:y|ies)|guidelines?)"
# Talk of rules, or of a prompt, as something that lies before the writer.
_GIVEN = re.compile(
    r"\bsystem (?:prompt|message)|\bmy instructions\b|\binstructions above\b|\babove instructions\b"
    rf"|\b{_RULES} (?:\w+ ){{0,2}}(?:above|provided|given|listed)\b|\b(?:above|provided|given|listed) {_RULES}\b"
    rf"|\bthese {_RULES}\b|\b(?:first|second|third|last) {_RULES}\b(?! of\b)|\b{_RULES} (?:number |no\. ?|#)?\d"
    r"|\b(?:i was|i am|i'm|i have been|i've been) (?:given|told|instructed)\b"
    r"|\(\d+\.\d%\)",  # the similarities of the listed rules
    re.IGNORECASE,
)


class Parameters(BaseModel):
    """open_thought: begin every reply with a thought, and close it, for models that do not think of themselves."""

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False


def build(prompts: list[Prompt], parameters: Parameters, workshop: Workshop) -> Built:
    """One row for each prompt whose reply passes, without the rules it was sampled with."""
    tool = workshop.tool
    replies, rejected = sample_replies(
        "replies", prompts, lambda p: with_rules("rag", question(p), tool), parameters.open_thought, workshop
    )
    rows: list[Row] = []
    for reply, verdict in zip(replies, judge_replies(workshop.judge, replies), strict=True):
        prompt, thought, answer = reply
        if mentions_given(thought, answer):
            rejected.append(Rejected(prompt.id, "replies", "refers to the prompt"))
        elif not as_wanted(prompt.kind, verdict):
            rejected.append(Rejected(prompt.id, "replies", "verdict"))
        else:
            shown = tool.book.nearest(question(prompt)[-1].content, tool.default_top_k)  # as `with_rules` does
            provenance = {
                "origin": "distilled",
                "model": workshop.model,
                "judge": workshop.judge.name,
                "rules": [rule.id for rule, _ in shown],
                "rules_hash": tool.book.hash,
            }
            rows.append(reply_row(prompt, question(prompt), thought, answer, "context_distillation", provenance))
    return Built(rows, rejected, {"replies": outcomes(prompts, rejected)})


def mentions_given(thought: str, answer: str) -> bool:
    """Whether a reply talks of the rules, or of its prompt, as something it was given."""
    return bool(_GIVEN.search(thought) or _GIVEN.search(answer))
