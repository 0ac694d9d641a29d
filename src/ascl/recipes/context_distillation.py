"""Context distillation of the rules, as in Deliberative Alignment (arXiv 2412.16339): rules in the prompt when
sampling, gone when training.

The model answers with the rules that fit the prompt in its system prompt, thinks about them, and is filtered; SFT is on
the bare prompt, so that the rules end up in the weights. It is the opposite of ASCL, and its natural rival.

Deviations: the paper gives category specifications written by hand, and filters with a reward model that sees them;
here the top rules come from the rule book by search (the `rag` variant), and the filter is the build's judge. A reply
that talks of the rules as something it was given (`refers to the prompt`) would make no sense without them.

Reasons for no row: `request failed`, `no reply`, `no thought`, `refers to the prompt`, `verdict`.
"""

import re
from collections import Counter

from pydantic import BaseModel, ConfigDict

from ascl.consult.sample import Job
from ascl.consult.variants import with_rules
from ascl.prompts.prompt import Prompt
from ascl.prompts.sources import question
from ascl.recipes.build import Built, Rejected, Workshop
from ascl.recipes.replies import as_wanted, judge_reply, thought_and_answer
from ascl.recipes.rows import Row, reply_row

INPUT = "prompts"
SAMPLES = True

_GIVEN = re.compile(
    r"system (?:prompt|message)"
    r"|(?:rules?|polic(?:y|ies)|guidelines?|instructions?) (?:\w+ )?(?:above|provided|given|listed)"
    r"|(?:above|provided|given|listed|these) (?:rules?|polic(?:y|ies)|guidelines?|instructions?)|rules? (?:number )?\d",
    re.IGNORECASE,
)


class Parameters(BaseModel):
    """open_thought: begin every reply with `<think>` (for models that do not think of themselves)."""

    model_config = ConfigDict(extra="forbid")

    open_thought: bool = False


def build(prompts: list[Prompt], parameters: Parameters, workshop: Workshop) -> Built:
    """One row for each prompt whose reply passes, without the rules it was sampled with."""
    prefill = "<think>\n" if parameters.open_thought else ""
    jobs = [Job(prompt.id, with_rules("rag", question(prompt), workshop.tool), prefill) for prompt in prompts]
    found = workshop.sample("replies", jobs)
    rows: list[Row] = []
    rejected: list[Rejected] = []
    counts: Counter[str] = Counter()
    for prompt in prompts:
        reply = thought_and_answer(found.get(prompt.id))
        if not isinstance(reply, str):
            if _GIVEN.search("\n".join(reply)):
                reply = "refers to the prompt"
            elif not as_wanted(prompt.kind, judge_reply(workshop.judge, prompt, *reply)):
                reply = "verdict"
        if isinstance(reply, str):
            rejected.append(Rejected(prompt.id, "replies", reply))
            counts[reply] += 1
            continue
        counts["accepted"] += 1
        rules = [rule.id for rule, _ in workshop.tool.book.search(prompt.text, workshop.tool.default_top_k)]
        provenance = {
            "origin": "distilled",
            "model": workshop.model,
            "rules": rules,
            "rules_hash": workshop.tool.book.hash,
        }
        rows.append(reply_row(prompt, question(prompt), *reply, "context_distillation", provenance))
    return Built(rows, rejected, {"replies": dict(counts.most_common())})
