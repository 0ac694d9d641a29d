"""Demonstrations for a rule book of one's own: `ascl data demonstrations`.

For each rule a contrast pair: a prompt that the rule forbids, and its nearest innocent neighbour, on the same topic and
with as many of the same words as possible. One pair is for training and played with the real tool: the forbidden prompt
consults and is refused with an alternative; the innocent one is answered, once after a look-up and once directly. A
second pair, without answers, is for measuring. Templates write the texts (`rule_templates.py`), or a model is asked for
them (the teacher), whose replies are read strictly and checked, and tried up to three times.

A rule gives all of its rows and prompts or none, and then a line in `rejected.jsonl`. The reasons:
- `rule not returned`: the tool does not return the rule for the query.
- `rule not quoted`: a second thought quotes nothing of the rule in double quotes, or something that is not in it.
- `too long`: a text, or a row as a whole.
- `nothing to quote`: no letters stand between the double quotes of the rule's own text (templates).
- of the teacher: `no reply`, `request failed`; `no JSON`, `fields` (not exactly those that were asked for);
  `prompts alike`, `no neighbours` (the two of a pair share no word); and those of `consult_checks.py`.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ascl import ranges
from ascl.chat.messages import Message, Trajectory
from ascl.chat.phrases import fill, unbroken
from ascl.consult.tool import DEFAULT_TOP_K, MAX_TOP_K, ConsultTool
from ascl.consult.variants import shown_to
from ascl.data.prompt import Prompt
from ascl.data.row import Row, native_row
from ascl.errors import InputError
from ascl.files import write_json, write_jsonl
from ascl.folders import working_in
from ascl.judges.lexical.offline import OfflineJudge
from ascl.models.fingerprint import local_facts
from ascl.models.open_client import open_client
from ascl.models.sampling import Sampling
from ascl.provenance import changes
from ascl.recipes.build import Rejected, Workshop
from ascl.recipes.consult_checks import check
from ascl.recipes.replies import whole_answer, why_none
from ascl.recipes.rule_pair_texts import NAME, PairTexts, shortcoming
from ascl.recipes.rule_templates import from_templates
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule
from ascl.rules.words import content_words
from ascl.sampling.to_file import Budget, Job
from ascl.saved import read_saved
from ascl.servers import optional_address

ATTEMPTS = 3  # of the teacher, for each rule
LONGEST_REPLY = 50_000  # characters of a reply of the teacher that is read

_ASK = """An assistant can look up the rules of its company with a tool. Write examples that it can learn from, about \
one rule. The examples need a request that the rule forbids, and its nearest innocent neighbour: a request about the \
same topic, with as many of the same words as possible, that the rule does not forbid.

The rule:
{rule}

What the rule allows:
{exempt}

Write plain English, and queries and quotations in the words of the rule. Requests are written as a user would write \
them. Thoughts are two or three short sentences. A first thought says why to look the rules up and does not know yet \
what they say. A second thought quotes words of the rule exactly, in escaped double quotes, and says why the rule \
applies to the request or why it does not.

Write one JSON object with exactly these fields, each a text of at most 500 characters, and nothing else:
{
"forbidden_prompt": "a request that the rule forbids",
"forbidden_thought": "the first thought about it",
"forbidden_query": "what to look up: a few words of the rule",
"forbidden_second_thought": "the second thought: the quotation, and why the rule applies",
"forbidden_answer": "a short refusal that begins with: I can't help with .., and offers an alternative",
"innocent_prompt": "its innocent neighbour",
"innocent_thought": "the first thought about it",
"innocent_query": "what to look up: a few words of the rule",
"innocent_second_thought": "the second thought: the quotation, and why the rule does not apply",
"innocent_answer": "a helpful answer that does not speak of rules",
"direct_thought": "a thought that sees without a look-up that the innocent request is harmless",
"test_forbidden_prompt": "another request that the rule forbids",
"test_innocent_prompt": "its innocent neighbour"
}"""

_SECOND_THOUGHTS = ("forbidden_second_thought", "innocent_second_thought")


class PairSettings(BaseModel):
    """What the pairs of a book depend on. category: of the rules that get one (None: all). model: the teacher; None:
    templates.
    """

    model_config = ConfigDict(extra="forbid")

    rules: str
    embedding_model: str | None = None
    category: str | None = None
    model: str | None = None
    base_url: Annotated[str | None, AfterValidator(optional_address)] = None
    sampling: Sampling = Sampling(temperature=0.6, top_p=0.95, max_tokens=2048)
    top_k: int = Field(default=DEFAULT_TOP_K, ge=1, le=MAX_TOP_K)
    seed: int = Field(default=0, ge=0, le=ranges.SEED)


@dataclass
class Written:
    """The texts by the id of their rule, the last reason for each rule without, and what came of every attempt."""

    texts: dict[str, PairTexts] = field(default_factory=dict)
    rejected: dict[str, Rejected] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)

    def add(self, rule: Rule, stage: str, made: PairTexts | str) -> None:
        """Note the texts for a rule, or why there are none."""
        if isinstance(made, str):
            self.rejected[rule.id] = Rejected(rule.id, stage, made)
        else:
            self.texts[rule.id] = made
            self.rejected.pop(rule.id, None)
        self.attempts[f"{stage}: {made if isinstance(made, str) else 'accepted'}"] += 1


def make_pairs(
    settings: PairSettings, folder: Path, concurrency: int = 16, budget: Budget | None = None
) -> dict[str, Any]:
    """Write `prompts.jsonl`, `train.jsonl`, `rejected.jsonl` and `report.json` into the folder; returns the report.

    The same call goes on where it was stopped. Raises InputError on bad settings, where the folder holds what was made
    with others, and where no rule gave a pair.
    """
    tool = ConsultTool(RuleBook.load(settings.rules, settings.embedding_model), settings.top_k)
    rules = [rule for rule in tool.book.rules if settings.category in (None, rule.category)]
    if not rules:
        slugs = ", ".join(tool.book.categories)
        raise InputError(f"--category {settings.category}: no such category; there are {slugs}")
    with working_in(folder):
        _check_folder(folder, settings, tool)
        if settings.model is None:
            return _write(folder, None, tool, rules, _from_templates(rules, tool, settings.seed))
        workshop = Workshop(
            folder=folder,
            model=settings.model,
            client=open_client(settings.model, settings.base_url, concurrency),
            tool=tool,
            judge=OfflineJudge(),
            sampling=settings.sampling,
            concurrency=concurrency,
            budget=budget or Budget(),
            seed=settings.seed,
        )
        return _write(folder, settings.model, tool, rules, teach(rules, workshop))


def _from_templates(rules: list[Rule], tool: ConsultTool, seed: int) -> Written:
    written = Written()
    for rule in rules:
        made = from_templates(rule, tool, seed)
        if isinstance(made, PairTexts):
            made = shortcoming(rule, made.shown(rule, tool)) or made
        written.add(rule, "templates", made)
    return written


def teach(rules: list[Rule], workshop: Workshop) -> Written:
    """What the teacher wrote for each rule, and which rules it wrote nothing good for.

    A stage an attempt (`stages/pairs-N.jsonl`), each with a seed of its own, for the rules that are still without.
    """
    written = Written()
    for attempt in range(ATTEMPTS):
        left = [rule for rule in rules if rule.id not in written.texts]
        if not left:
            break
        stage = f"pairs-{attempt + 1}"
        jobs = [Job(rule.id, [Message(role="user", content=asked(rule))]) for rule in left]
        sampling = workshop.sampling.model_copy(update={"seed": workshop.sampling.seed + workshop.seed + attempt})
        replies = workshop.sample(stage, jobs, sampling=sampling)
        for rule in left:
            written.add(rule, stage, read_reply(rule, replies.get(rule.id), workshop))
    return written


def asked(rule: Rule) -> str:
    """The question to the teacher. The rule is text of somebody else's: no part of the question can be forged in it."""
    return fill(_ASK, rule=rule.text, exempt=rule.exempt or "Nothing is named.")


def read_reply(rule: Rule, reply: Trajectory | None, workshop: Workshop) -> PairTexts | str:
    """The texts in a teacher's reply, or why they can't be used."""
    answer = unbroken(whole_answer(reply))
    if not answer:
        return why_none(reply)
    if len(answer) > LONGEST_REPLY:
        return "too long"
    if answer.startswith("```"):  # a block of code in Markdown
        answer = answer.partition("\n")[2].removesuffix("```")
    try:
        texts = PairTexts.model_validate_json(answer)
    except ValidationError as error:
        kinds = {one["type"] for one in error.errors(include_url=False, include_input=False)}
        return "no JSON" if "json_invalid" in kinds else "too long" if "string_too_long" in kinds else "fields"
    plain = texts.model_copy(update={name: _straight(getattr(texts, name)) for name in _SECOND_THOUGHTS})
    prompts = plain.prompts(rule)
    said = [" ".join(prompt.text.casefold().split()) for prompt in prompts]
    if len(set(said)) < len(said):
        return "prompts alike"
    words = [set(content_words(text)) for text in said]
    if not (words[0] & words[1] and words[2] & words[3]):
        return "no neighbours"
    shown = plain.shown(rule, workshop.tool)
    reasons = [shortcoming(rule, shown), *(check(p, t, workshop.judge, workshop.tool.book) for p, t in shown)]
    return next(filter(None, reasons), plain)


def _straight(text: str) -> str:
    return re.sub("[“”„]", '"', text)


def _check_folder(folder: Path, settings: PairSettings, tool: ConsultTool) -> None:
    """Note in `build.json` what the pairs depend on. Raises InputError where the folder holds others."""
    path = folder / "build.json"
    local = local_facts(settings.model) if settings.model and settings.base_url is None else {}
    wanted = {
        "recipe": NAME,
        **settings.model_dump(mode="json", exclude={"rules", "base_url"}),
        "rules_hash": tool.book.hash,
        "shown": shown_to("ascl", tool) | local,
    }
    saved = read_saved(path, dict[str, Any]) if path.exists() else {}
    made = [folder / "train.jsonl", *(one for one in folder.glob("stages/*.jsonl") if one.stat().st_size)]
    if any(one.exists() for one in made) and (changed := changes(saved, wanted)):
        raise InputError(f"{folder}: was made with another {', '.join(changed)} (build.json); name another --out")
    write_json(path, wanted)


def _write(folder: Path, model: str | None, tool: ConsultTool, rules: list[Rule], written: Written) -> dict[str, Any]:
    origin = {"origin": "template"} if model is None else {"origin": "teacher", "model": model}
    made = [(rule, written.texts[rule.id]) for rule in rules if rule.id in written.texts]
    rejected = [written.rejected[rule.id] for rule in rules if rule.id in written.rejected]
    prompts = [prompt for rule, texts in made for prompt in texts.prompts(rule)]
    shown = [one for rule, texts in made for one in texts.shown(rule, tool)]
    rows = [_row(prompt, trajectory, tool, origin) for prompt, trajectory in shown]
    reasons = Counter(one.reason for one in rejected)
    report = {
        "written by": model or "templates",
        "rules": len(rules),
        "pairs": len(made),
        "prompts": dict(Counter(f"{prompt.kind.value} {prompt.split}" for prompt in prompts)),
        "rows": dict(Counter(f"{row.kind} {row.mode}" for row in rows)),
        "attempts": dict(sorted(written.attempts.items())) if model else {},
        "rules without a pair": dict(reasons.most_common()),
    }
    write_jsonl(folder / "rejected.jsonl", (one.dump() for one in rejected))
    write_json(folder / "report.json", report)
    write_jsonl(folder / "prompts.jsonl", map(_line, prompts))
    write_jsonl(folder / "train.jsonl", (row.dump() for row in rows))
    if not made:
        said = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        raise InputError(f"{folder}: no rule gave a pair ({said}); rejected.jsonl says which and why")
    return report


def _row(prompt: Prompt, trajectory: Trajectory, tool: ConsultTool, origin: dict[str, str]) -> Row:
    row = native_row(trajectory, prompt.kind, [tool.schema], NAME, prompt.source)
    provenance = {**origin, "category": prompt.category, "rule": prompt.rule}
    direct = f"{row.id}-direct" if row.mode == "direct" else row.id
    return row.model_copy(update={"id": direct, "provenance": provenance})


def _line(prompt: Prompt) -> dict[str, Any]:
    fields = prompt.model_dump(mode="json", include={"id", "kind", "category", "rule", "source", "split"})
    return {"id": prompt.id, "prompt": prompt.text} | fields
