"""Surrogate CoT, the ablation of arXiv 2602.13562 ("Mitigating the Safety-Utility Trade-off in LLM Alignment via
Adaptive Safe Context Learning"): the content of ASCL's set with every look-up rewritten into the thought.

A consultation becomes one direct row: the first thought, the rules recalled as the model's own guidelines and the
second thought in one thought; no tool, no system prompt; the answer unchanged. So the model memorises rules where
ASCL's reads them. In the paper its reasoning is the worst at every size.

Reconstruction: the paper's rewriting is not public. Ours is a template, a pure function of the row:
- a first thought loses what it says about looking rules up (`without_lookups`);
- the rules that a look-up gave are listed after "According to my guidelines", without rank and similarity;
- in a later thought, "the rules", "the retrieved policies" and the like become "my guidelines" (`as_guidelines`).
A row is rejected whose thought or answer is `empty` or still tells of its origin: `mentions tools`, `mentions calls`,
`mentions results`, `mentions look-ups`. Direct rows lose the system prompt and the tool and are checked as well.
"""

import re
from bisect import bisect_right
from collections import Counter
from pathlib import Path

from pydantic import ValidationError, model_validator

from ascl.chat.messages import Message, messages_of
from ascl.consult.tool import SHORT_NAME
from ascl.data.load import question
from ascl.data.prompt import Prompt
from ascl.data.row import Row, reply_row
from ascl.errors import InputError, first_problem
from ascl.inputs import iterate_jsonl
from ascl.judges.lexical.offline import claims_consultation
from ascl.judges.lexical.wordings import any_of
from ascl.recipes import ascl
from ascl.recipes.build import Built, Rejected, Workshop

INPUT = "prompts"
SAMPLES = True


class Parameters(ascl.Parameters):
    """rows: a data set made by the `ascl` recipe (its folder, or the JSONL file); else it is built with the others."""

    rows: Path | None = None

    @model_validator(mode="after")
    def _check_form(self) -> "Parameters":
        if self.form != "native":
            raise ValueError("form: every row of this recipe is a single turn; leave it out")
        return self


_RULES = r"(?:rules?|polic(?:y|ies)|guidelines?)"
_LOOK = r"(?:check|consult|look|verif|search|retriev|quer|review)(?:y|e|ing|ied|ed)?"
_TOOL = rf"(?:{SHORT_NAME}|(?:polic(?:y|ies)|safety|rules?|retrieval|look-?up|search|consult\w*) tool)"
_FIRST = r"(?: (?:this|it|that|up|first|here)){0,3}"

# A first thought's talk of looking up: the tool, "checking is prudent"; of two words in one clause of a sentence,
# "check .. the rules" (`_PAIRED`); and where it ends, "I .. check first" (`_WHO`, `_AT_END`).
_LOOKUP = any_of(
    rf"\b{_TOOL}\b|\b(?:the|a) tool\b|\blook-?ups?\b",
    rf"\b{_LOOK}{_FIRST} (?:is|seems|would be) (?:\w+ )?(?:prudent|wise|right|best|better)\b",
)
_PAIRED = re.compile(rf"[.!?]|\b(?:(?P<look>{_LOOK})|(?P<rules>{_RULES}))\b", re.IGNORECASE)
_WHO = re.compile(r"[.!?]|\b(?P<who>i|we|me|prudent|wise|best|better|makes sense)\b", re.IGNORECASE)
_AT_END = re.compile(rf"\b{_LOOK}{_FIRST}[.!?]?\Z", re.IGNORECASE)
_LONGEST_END = 60  # characters of the words that `_AT_END` finds
_CLAUSE = re.compile(r"[,;]? (?:so|and|therefore|thus|hence)\b,? ", re.IGNORECASE)
_BREAK = re.compile(r"(?<=[.!?])\s+")

# A later thought's names for what was found.
_FOUND = r"(?:retrieved|returned|consulted|fetched|looked[- ]up)"
_SEEN = rf"(?:{_FOUND}|listed|found|given|shown|looked at)"
_THE_RULES = re.compile(
    rf"\b(?P<the>the|these|those) (?:(?:{_SEEN}|safety|search|look-?up|tool|retrieval) )*"
    rf"(?:rules|policies|guidelines|results)(?: (?:that )?(?:(?:i|we|were|have|been|just) )*{_SEEN})?\b(?! of\b)",
    re.IGNORECASE,
)
_SIMILARITY = re.compile(r" ?\(\d{1,3}(?:\.\d)? ?%\)")
_RESULT = re.compile(r"^\d+\. \(\d+\.\d%\) ", re.MULTILINE)

# What must not remain, and the reason that it gives.
_MENTIONS = {
    "mentions tools": any_of(
        rf"\b{_TOOL}\b|\b(?:the|my|a) tool (?:returned|found|gave|says|said|shows|showed|lists)\b"
    ),
    "mentions calls": any_of(r"\b(?:tool|function) calls?\b|\bcall(?:ed|ing)? (?:the|a|my) (?:\w+ )?(?:tool|function)"),
    "mentions results": any_of(
        rf"\b{_FOUND} (?:safety )?(?:{_RULES}|results?)\b|\b{_RULES} (?:(?:were|was|i|we|that) )*{_FOUND}\b",
        r"\b(?:tool|look-?up|retrieval) results?\b|\b(?:the|my) (?:search|query) results? (?:say|show|list|are)",
        r"\d ?%\)? (?:similar|match)",
    ),
}
# In a thought; an answer may tell the user to check a policy.
_CHECKS_RULES = any_of(
    rf"\b{_LOOK} (?:(?:up|at|into|through|in|for) )?(?:(?:the|these|any|my|our|relevant|safety|usage) )*{_RULES}\b",
    rf"\b{_RULES} look-?ups?\b",
)


def build(prompts: list[Prompt], parameters: Parameters, workshop: Workshop) -> Built:
    """The rows of the `ascl` recipe for these prompts, each as a direct reply without tool and system prompt."""
    if parameters.rows is None:
        made = ascl.build(prompts, ascl.Parameters(**parameters.model_dump(exclude={"rows"})), workshop)
        rows, rejected, report = [r for r in made.rows if isinstance(r, Row)], list(made.rejected), made.report
    else:
        rows, report = load_rows(parameters.rows), {}
        there = {row.prompt_id for row in rows}
        rejected = [Rejected(prompt.id, "rows", "no row") for prompt in prompts if prompt.id not in there]
    by_id = {prompt.id: prompt for prompt in prompts}
    reasons: Counter[str] = Counter()
    surrogates = []
    for row in (row for row in rows if row.prompt_id in by_id):
        thought, answer = surrogate_thought(row), row.messages[-1].content
        reason = remains(thought, answer)
        reasons[reason or "accepted"] += 1
        if reason is None:
            made_from = row.provenance | {"origin": "surrogate", "from": f"{row.provenance.get('origin')}, {row.mode}"}
            prompt = by_id[row.prompt_id]
            surrogates.append(reply_row(prompt, question(prompt), thought, answer, "surrogate", made_from))
        else:
            said = Message(role="assistant", content=answer, reasoning_content=thought)
            rejected.append(Rejected(row.prompt_id, "surrogate", reason, [said]))
    return Built(surrogates, rejected, {**report, "surrogate": dict(reasons.most_common())})


def load_rows(path: Path) -> list[Row]:
    """The rows of a data set of the `ascl` recipe, one a prompt: of the split form, the sample with all turns.

    Raises InputError naming the file and line of what is no such row.
    """
    file = path / "train.jsonl" if path.is_dir() else path
    rows = []
    for number, value in iterate_jsonl(file):
        try:
            messages = messages_of(value["messages"])
            row = Row.model_validate(value | {"messages": messages})
        except ValidationError as error:
            raise InputError(f"{file}, line {number}: {first_problem(error)}") from error
        except InputError as error:
            raise InputError(f"{file}, line {number}: {error}") from error
        except KeyError as error:
            raise InputError(f"{file}, line {number}: not a row of the ascl recipe ({error!r})") from error
        roles = [message.role for message in messages]
        if "user" not in roles or roles[-1] != "assistant":
            raise InputError(
                f"{file}, line {number}: messages: a prompt and, at the end, the model's reply are expected"
            )
        if not row.messages[-1].tool_calls:
            rows.append(row)
    return rows


def surrogate_thought(row: Row) -> str:
    """All thoughts of a row as one, the results between them recalled as guidelines; a direct row's as it is."""
    last_user = max(i for i, message in enumerate(row.messages) if message.role == "user")
    completion = row.messages[last_user + 1 :]
    if len(completion) == 1:
        return completion[0].reasoning_content or ""
    parts, consulted = [], False
    for message in completion:
        thought = message.reasoning_content or ""
        if message.role == "tool":
            parts.append(recalled(message))
        else:
            parts.append(as_guidelines(thought) if consulted else without_lookups(thought))
        consulted = consulted or message.role == "tool"
    return "\n\n".join(filter(None, parts))


def recalled(result: Message) -> str:
    """The rules of a tool result as guidelines of the model's own."""
    rules = [" ".join(rule.split()) for rule in _RESULT.split(result.content)[1:]]
    if not rules:
        return "None of my guidelines is about this."
    return "\n".join(
        ["According to my guidelines, I must not help with any of these:", *(f"- {rule}" for rule in rules)]
    )


def without_lookups(thought: str) -> str:
    """A thought without the clauses and sentences that speak of looking rules up."""
    lines = (line.strip() for line in thought.split("\n"))
    return " ".join(filter(None, (_kept(sentence) for line in lines for sentence in _BREAK.split(line))))


def _kept(sentence: str) -> str:
    """A sentence without the clause (", so I ..") that speaks of looking up; nothing where all of it does."""
    spans = _lookups(sentence)
    who = [(found.end(), found.start() if found["who"] else None) for found in _WHO.finditer(sentence)]
    last = max([start for start, _ in spans] + [_at_end(sentence, len(sentence), who)])
    if last < 0:
        return sentence
    first = min((end for _, end in spans), default=len(sentence) + 1)
    for clause in reversed(list(_CLAUSE.finditer(sentence))):
        at = clause.start()
        if at <= last and at < first and _at_end(sentence, at, who) < 0:
            return f"{sentence[:at]}."
    return ""


def _lookups(sentence: str) -> list[tuple[int, int]]:
    """From where to where a sentence speaks of looking up, whatever comes before and after."""
    spans = [found.span() for found in _LOOKUP.finditer(sentence)]
    look: int | None = None
    for found in _PAIRED.finditer(sentence):
        if found["look"]:
            look = found.start()
        elif look is not None and found["rules"]:
            spans.append((look, found.end()))
        elif not found["rules"]:
            look = None
    return spans


def _at_end(sentence: str, end: int, who: list[tuple[int, int | None]]) -> int:
    """Where "I .. check first" begins, which `sentence[:end]` ends in; -1 where it does not.

    who: where each word that such a clause begins with ends, and where it begins; None for a stop.
    """
    check = _AT_END.search(sentence, max(end - _LONGEST_END, 0), end)
    before = bisect_right(who, check.start(), key=lambda found: found[0]) if check else 0
    start = who[before - 1][1] if before else None
    return -1 if start is None else start


def as_guidelines(thought: str) -> str:
    """A thought that speaks of what was found as of the model's own guidelines."""
    own = _THE_RULES.sub(lambda m: "My guidelines" if m["the"][0].isupper() else "my guidelines", thought)
    return _SIMILARITY.sub("", own).strip()


def remains(thought: str, answer: str) -> str | None:
    """The reason why thought and answer can't stand in a row that has no tool; None where they can."""
    if not thought.strip() or not answer.strip():
        return "empty"
    for reason, pattern in _MENTIONS.items():
        if pattern.search(thought) or pattern.search(answer):
            return reason
    looked = _CHECKS_RULES.search(thought) or claims_consultation(thought) or claims_consultation(answer)
    return "mentions look-ups" if looked else None
