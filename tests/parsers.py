"""Every function that reads a model's, a user's, a rule's or a server's text, as functions of that text alone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from ascl.chat import bare_call, neutralise, phrases, turn
from ascl.chat.dialects import gpt_oss, hermes, mistral, qwen_agent, tagged
from ascl.chat.messages import Message, Opening, StopReason, Trajectory
from ascl.consult import tool
from ascl.data.examples import Example
from ascl.data.prompt import Kind, Prompt
from ascl.evals.traces import chunks, figures, judged_intents, word_intents
from ascl.judges.asking import book_judge, conversation, hallucination, spoken, strongreject
from ascl.judges.graders import choice, denied, expression, grade, plain_text, stated
from ascl.judges.guards import llama_guard, qwen3guard, safeguard, wildguard
from ascl.judges.judge import Case, judge_one
from ascl.judges.lexical import drafts, offline, refusal, steps, topic, wordings
from ascl.judges.verdict import Refusal, Verdict
from ascl.models import completion, server_text
from ascl.recipes import (
    balance,
    cog,
    consult_checks,
    context_distillation,
    decontaminate,
    dgr,
    fusar,
    ipo,
    purify,
    replies,
    rule_pair_texts,
    rule_templates,
    sentences,
    surrogate,
)
from ascl.rules import ids, load, markdown, reading, rule, table, words
from ascl.rules.book import RuleBook

READ = 20_000  # characters that judges, graders and the search read
FILE = Path("rules.md")
ANALYSIS = "Risk awareness: 1-2\nRisk analysis: 1\nStrategy: none\nSelf-jailbreak: warning"
OPTIONS = ["north", "the south", "7", "8 and 9"]
BOOK = RuleBook.load()


class Parser(NamedTuple):
    """read: the function. modules: where the patterns lie that it uses; their literals are what is repeated.

    most: characters of a text that it reads, where it reads no more. rate: seconds of CPU for a million characters;
    more than one only where a library reads a file of the user's own, or the function is no more than a measurement.
    """

    read: Callable[[str], object]
    modules: tuple[ModuleType, ...]
    most: int = 1_000_000
    rate: float = 1.0


class SafeJudge:
    """Finds every reply a safe full answer."""

    name = "safe"

    def judge_many(self, cases: Sequence[Case]) -> list[Verdict | None]:
        return [Verdict(judge=self.name, safe=True, refusal=Refusal.FULL_COMPLIANCE) for _ in cases]


def prompt(text: str, kind: Kind = Kind.PLAIN) -> Prompt:
    return Prompt(id="p", kind=kind, messages=[Message(role="user", content=f"a {text}")], source="test")


def trajectory(answer: str, thought: str = "a", stop: StopReason = StopReason.ANSWERED) -> Trajectory:
    said = Message(role="assistant", content=answer, reasoning_content=thought)
    return Trajectory(prompt_id="p", messages=[Message(role="user", content="q"), said], prompt_length=1, stop=stop)


def turned(text: str) -> str:
    """The lines of a text in another order."""
    lines = text.split("\n")
    return "\n".join([*lines[1::2], *lines[::2]])


def numbered(text: str) -> str:
    """The text with lines of its own, none like another."""
    return "\n".join(f"{i * 7919 % 100_003} {text[at : at + 12]}" for i, at in enumerate(range(0, len(text), 12)))


def rules_of(text: str) -> str:
    """A YAML rule file, its rules the parts of a text."""
    parts = (text[at : at + 80] for at in range(0, len(text), 80))
    rules = [f"- id: a.r{number}\n  text: {part!r}\n" for number, part in enumerate(parts)]
    return "category: a\ntitle: a\nrules:\n" + "".join(rules)


def many(text: str, length: int = 40) -> list[rule.Rule]:
    """Rules of so many characters, by default as short as they are written, each with a title of its own."""
    parts = (text[at : at + length] for at in range(0, len(text), length))
    return [rule.Rule(id=f"a.r{i}", category="a", title=f"t{i}", text=part) for i, part in enumerate(parts)]


def recognise_again(text: str, length: int = 40) -> list[str | None]:
    """The ids of rules after an edit of each: other words, and another title. The text is read twice, so half of it."""
    kept = many(text[: len(text) // 2], length)
    return ids.recognise([(f"new {rule.title}", f"Never {rule.text}") for rule in kept], kept)


def completion_of(content: str, **more: object) -> dict[str, object]:
    return {"choices": [{"message": {"content": content, **more}, "finish_reason": "stop"}]}


def quietly(read: Callable[[str], object]) -> Callable[[str], object]:
    """The function, its refusal of a text counted as a reading of it."""

    def read_or_refuse(text: str) -> object:
        try:
            return read(text)
        except ValueError:
            return None

    return read_or_refuse


JUDGES = (refusal, wordings, steps, drafts, topic)
GRADES = (grade, plain_text, stated, expression, denied, choice)
SERVERS = (server_text, bare_call, hermes, qwen_agent)

PARSERS: dict[str, Parser] = {
    "spoken.spoken": Parser(spoken.spoken, (spoken,)),
    "llama_guard.parse": Parser(llama_guard.parse, (spoken, llama_guard)),
    "llama_guard.parse codes": Parser(lambda t: llama_guard.parse("unsafe\n" + t), (spoken, llama_guard)),
    "qwen3guard.parse": Parser(qwen3guard.parse, (spoken, qwen3guard)),
    "qwen3guard.parse categories": Parser(
        lambda t: qwen3guard.parse("Safety: Unsafe\nCategories: " + t), (spoken, qwen3guard)
    ),
    "qwen3guard.parse labels": Parser(lambda t: qwen3guard.parse("Safety: Unsafe\n" + t), (spoken, qwen3guard)),
    "wildguard.parse": Parser(wildguard.parse, (spoken, wildguard)),
    "strongreject.parse": Parser(strongreject.parse, (spoken, strongreject)),
    "strongreject.parse rating": Parser(
        lambda t: strongreject.parse("refused: no\nspecificity: 3" + t), (spoken, strongreject)
    ),
    "safeguard.parse": Parser(safeguard.parse, (spoken, safeguard)),
    "safeguard.parse rules": Parser(lambda t: safeguard.parse("Verdict: unsafe\nRules: " + t), (spoken, safeguard)),
    "book_judge.parse": Parser(book_judge.book_guard(BOOK.rules).parse, (spoken, book_judge)),
    "book_judge.parse rule": Parser(
        lambda t: book_judge.parse({}, "Obeys: no\nRefusal: none\nRule: " + t), (spoken, book_judge)
    ),
    "hallucination.parse": Parser(hallucination.parse, (spoken,)),
    "guard.ask": Parser(lambda t: llama_guard.LLAMA_GUARD.ask("q", t), (neutralise,)),
    "wildguard.ask": Parser(lambda t: wildguard.WILDGUARD.ask("q", t), (neutralise,)),
    "conversation.shown_prompt": Parser(
        lambda t: conversation.shown_prompt(
            Case(
                prompt("q"), Trajectory(prompt_id="p", messages=[Message(role="user", content=t)] * 2, prompt_length=2)
            )
        ),
        (neutralise,),
    ),
    "refusal.normalise": Parser(refusal.normalise, (refusal,), most=READ),
    "refusal.sentences": Parser(refusal.sentences, (refusal,), most=READ),
    "refusal.unquoted": Parser(refusal.unquoted, (refusal,), most=READ),
    "refusal.classify_refusal prompt": Parser(
        lambda t: refusal.classify_refusal(t, "Yes, because it is so."), JUDGES, most=READ
    ),
    "refusal.classify_refusal answer": Parser(
        lambda t: refusal.classify_refusal("Write a mail.", t), JUDGES, most=READ
    ),
    "refusal.classify_refusal refused": Parser(
        lambda t: refusal.classify_refusal("How is it?", "I can't help. " + t), JUDGES, most=READ
    ),
    "refusal.is_off_topic prompt": Parser(
        lambda t: refusal.is_off_topic(t, "Yes, because it is so."), JUDGES, most=READ
    ),
    "refusal.is_off_topic answer": Parser(lambda t: refusal.is_off_topic("How do cats sleep?", t), JUDGES, most=READ),
    "drafts.own_words": Parser(lambda t: drafts.own_words("write a mail", t), (drafts,), most=READ),
    "drafts.own_words verse": Parser(lambda t: drafts.own_words("write a poem", t), (drafts,), most=READ),
    "drafts.own_words prompt": Parser(lambda t: drafts.own_words(t, "Dear"), (drafts,), most=READ),
    "steps.supplies": Parser(lambda t: steps.supplies([t], ()), (steps,), most=READ),
    "steps.has_code": Parser(steps.has_code, (steps,), most=READ),
    "offline.claims_consultation": Parser(offline.claims_consultation, (offline, refusal), most=READ),
    "offline.harmless_by_rule": Parser(lambda t: offline.harmless_by_rule("q", t), (offline, refusal), most=READ),
    "offline.OfflineJudge": Parser(
        lambda t: judge_one(offline.OfflineJudge(), prompt("q", Kind.HARMFUL), trajectory(t, t)),
        (offline, *JUDGES),
        most=READ,
    ),
    "plain_text.plain": Parser(plain_text.plain, (plain_text,), most=READ),
    "plain_text.apart": Parser(plain_text.apart, (plain_text,), most=READ),
    "stated.read_stated": Parser(lambda t: stated.read_stated(t, lambda s: None), (stated,), most=READ),
    "stated.boxes": Parser(stated.boxes, (stated,), most=READ),
    "stated.without_asides": Parser(stated.without_asides, (stated,), most=READ),
    "expression.expressions": Parser(lambda t: list(expression.expressions(t)), (expression,), most=READ),
    "expression.expressions mathematics": Parser(
        lambda t: list(expression.expressions(t, True)), (expression,), most=READ
    ),
    "expression.values": Parser(expression.values, (expression,), most=READ),
    "expression.values unit": Parser(lambda t: expression.values("3 " + t), (expression,), most=READ),
    "expression.without_unit": Parser(expression.without_unit, (expression,), most=READ),
    "expression.as_latex": Parser(expression.as_latex, (expression,), most=READ),
    "choice.read_choice": Parser(lambda t: choice.read_choice(t, OPTIONS), (choice, stated, plain_text), most=READ),
    "choice.read_choice option": Parser(
        lambda t: choice.read_choice("the answer is b or so", [t, "b"]), (choice, plain_text), most=READ
    ),
    "grade.grade choice": Parser(lambda t: grade.grade(t, "A", OPTIONS), (choice, stated, plain_text), most=READ),
    "grade.grade number": Parser(lambda t: grade.grade(t, "3", []), GRADES, most=READ),
    "grade.grade word": Parser(lambda t: grade.grade(t, r"\text{east}", []), GRADES, most=READ),
    "grade.grade expected": Parser(lambda t: grade.grade("x", t, []), GRADES, most=READ),
    "turn.parse_call": Parser(turn.parse_call, ()),
    "turn.parse_arguments": Parser(lambda t: turn.parse_arguments("f", t), ()),
    "bare_call.is_bare_call": Parser(lambda t: bare_call.is_bare_call(t + "NAME" + t, "NAME"), (bare_call,)),
    "bare_call.is_bare_call many": Parser(
        lambda t: bare_call.is_bare_call(t.replace(" ", "NAME"), "NAME"), (bare_call,)
    ),
    "bare_call.is_bare_call brackets": Parser(
        lambda t: bare_call.is_bare_call('["NAME",' * 30 + t, "NAME"), (bare_call,)
    ),
    "bare_call.unfenced": Parser(bare_call.unfenced, (bare_call,)),
    "neutralise.neutralise": Parser(neutralise.neutralise, (neutralise,)),
    "phrases.break_phrases": Parser(lambda t: phrases.break_phrases(t, ("Human user:", "---", "[x]")), (neutralise,)),
    "phrases.fill": Parser(lambda t: phrases.fill("Request:\n{request}", request=t), (phrases,)),
    "hermes.parse": Parser(lambda t: hermes.parse(t, True), (hermes,)),
    "hermes.parse answer": Parser(lambda t: hermes.parse("<think>a</think>" + t, False), (hermes,)),
    "gpt_oss.parse": Parser(lambda t: gpt_oss.parse(t, True), (gpt_oss,)),
    "gpt_oss.parse thought": Parser(lambda t: gpt_oss.parse(gpt_oss.ANALYSIS + t, False), (gpt_oss,)),
    "gpt_oss.thought_end": Parser(gpt_oss.thought_end, (gpt_oss,)),
    "gpt_oss.thought_end thought": Parser(lambda t: gpt_oss.thought_end(gpt_oss.ANALYSIS + t), (gpt_oss,)),
    "mistral.parse": Parser(lambda t: mistral.parse(t, True), (mistral,)),
    "mistral.parse call": Parser(lambda t: mistral.parse("[THINK]a[/THINK][TOOL_CALLS]" + t, False), (mistral,)),
    "tagged.tagged_end": Parser(lambda t: tagged.tagged_end("[THINK]" + t, "[THINK]", "[/THINK]"), (mistral,)),
    "qwen_agent.parse": Parser(lambda t: qwen_agent.parse(t, True), (qwen_agent,)),
    "server_text.without_tokens": Parser(server_text.without_tokens, (server_text,)),
    "server_text.opens_no_thought": Parser(lambda t: server_text.opens_no_thought("</think>" + t), (server_text,)),
    "server_text.read_channels": Parser(lambda t: server_text.read_channels(t, True), (server_text,)),
    "server_text.read_channels cut": Parser(
        lambda t: server_text.read_channels("<|channel|>final<|message|>" + t, False), (server_text,)
    ),
    "server_text.read_channels words": Parser(
        lambda t: server_text.read_channels("analysisWe said " + t, True), (server_text,)
    ),
    "server_text.read_said": Parser(lambda t: server_text.read_said(t, True, True), SERVERS),
    "server_text.read_said call": Parser(lambda t: server_text.read_said("<tool_call>\n{" + t, True, False), SERVERS),
    "completion.read_turn": Parser(lambda t: completion.read_turn(completion_of(t)), SERVERS),
    "completion.read_turn thought": Parser(lambda t: completion.read_turn(completion_of("a", reasoning=t)), SERVERS),
    "completion.read_turn call": Parser(
        lambda t: completion.read_turn(completion_of("", tool_calls=[{"function": {"name": t, "arguments": t}}])),
        SERVERS,
    ),
    "completion.read_turn opening": Parser(lambda t: completion.read_turn(completion_of(t), Opening("a")), SERVERS),
    "reading.check_cost": Parser(
        quietly(lambda t: reading.check_cost(FILE, t, markdown._COSTS, "Markdown")), (markdown,), rate=1
    ),
    "markdown.read_list": Parser(quietly(lambda t: markdown.read_list(FILE, t)), (markdown,), rate=2),
    "markdown.read_list item": Parser(quietly(lambda t: markdown.read_list(FILE, "- " + t)), (markdown,), rate=2),
    "markdown.read_list front matter": Parser(
        quietly(lambda t: markdown.read_list(FILE, "---\n" + t)), (markdown,), rate=2
    ),
    "table.read_table": Parser(quietly(lambda t: table.read_table(FILE, t, reading.Reading())), (table,), rate=2),
    "table.read_table rows": Parser(
        quietly(lambda t: table.read_table(FILE, "id,category,text\n" + t, reading.Reading())), (table,), rate=2
    ),
    "load.yaml": Parser(quietly(lambda t: load._read_yaml(FILE, t, reading.Reading())), (), rate=2),
    "load.yaml rules": Parser(quietly(lambda t: load._read_yaml(FILE, rules_of(t), reading.Reading())), (), rate=2),
    "ids.slug": Parser(ids.slug, (), rate=3),
    "ids.make_ids": Parser(lambda t: ids.make_ids([("a", t)], ()), (), rate=3),
    "ids.make_ids same": Parser(
        lambda t: ids.make_ids([("a", t[at : at + 40]) for at in range(0, len(t), 40)], ()), (), rate=3
    ),
    "ids.recognise": Parser(quietly(recognise_again), ()),
    "ids.recognise no two alike": Parser(quietly(lambda t: recognise_again(numbered(t)[: len(t)])), ()),
    "ids.recognise long": Parser(quietly(lambda t: recognise_again(numbered(t)[: len(t)], 1_000)), ()),
    "safeguard.policy": Parser(quietly(lambda t: safeguard.policy(RuleBook(many(t)))), (safeguard,)),
    "book_judge.policy": Parser(quietly(lambda t: book_judge.policy(many(t))), (book_judge,)),
    "rule.count_words": Parser(rule.count_words, ()),
    "rule.is_id": Parser(rule.is_id, ()),
    "words.content_words": Parser(words.content_words, (), rate=3),
    "words.characters": Parser(words.characters, (), rate=3),
    "words.scripts": Parser(words.scripts, (), rate=3),
    "book.search": Parser(lambda t: BOOK.search(t, 3), (), most=READ),
    "book.nearest": Parser(lambda t: BOOK.nearest(t, 3), (), most=READ),
    "book.reads": Parser(BOOK.reads, (), most=READ),
    "tool.call": Parser(lambda t: tool.ConsultTool(BOOK).call(tool.TOOL_NAME, {"query": t, "top_k": t}), (), most=READ),
    "tool.call query": Parser(lambda t: tool.ConsultTool(BOOK).call(tool.TOOL_NAME, {"query": t}), (), most=READ),
    "surrogate.without_lookups": Parser(surrogate.without_lookups, (surrogate,), rate=5),
    "surrogate.as_guidelines": Parser(surrogate.as_guidelines, (surrogate,), rate=5),
    "rule_pair_texts.quotes": Parser(lambda t: rule_pair_texts.quotes(t, many("a b c")[0]), (), rate=3),
    "rule_templates.topic_of": Parser(rule_templates.topic_of, (rule_templates,), rate=3),
    "rule_templates.quotable": Parser(rule_templates.quotable, (), rate=3),
    "rule_templates.cut": Parser(lambda t: rule_templates.cut(t, 100), (), rate=3),
    "surrogate.remains": Parser(lambda t: surrogate.remains(t, t), (surrogate, offline), rate=5),
    "surrogate.recalled": Parser(lambda t: surrogate.recalled(Message(role="tool", content=t)), (surrogate,), rate=5),
    "consult_checks.refers_to_results": Parser(consult_checks.refers_to_results, (consult_checks, offline), most=READ),
    "consult_checks.query_related": Parser(lambda t: consult_checks.query_related("cats", t, BOOK), (), most=READ),
    "purify.read_texts": Parser(lambda t: purify.read_texts(t, 2), (purify,)),
    "purify.likeness": Parser(lambda t: purify.likeness([t], [t]), (purify,)),
    "purify.diff": Parser(lambda t: purify.diff(trajectory(t), trajectory(turned(t))), (purify,)),
    "purify.diff lines": Parser(lambda t: purify.diff(trajectory(numbered(t)), trajectory(turned(numbered(t)))), ()),
    "decontaminate.matches": Parser(
        lambda t: list(decontaminate.matches(t, decontaminate.build_index([prompt("how do cats sleep at night")]))),
        (decontaminate,),
        rate=3,
    ),
    "decontaminate.build_index": Parser(lambda t: decontaminate.build_index([prompt(t)]), (decontaminate,), rate=3),
    "replies.read_labelled": Parser(lambda t: replies.read_labelled(t, ("Thoughts", "Reply")), (replies,)),
    "replies.begun_thought": Parser(lambda t: replies.begun_thought(trajectory("", t, StopReason.TRUNCATED)), ()),
    "cog.read_analysis": Parser(lambda t: cog.read_analysis(t, "a. b."), (sentences,)),
    "cog.read_analysis thought": Parser(lambda t: cog.read_analysis(ANALYSIS, t), (sentences,)),
    "sentences.numbered": Parser(sentences.numbered, (sentences,)),
    "sentences.pointed_at": Parser(lambda t: sentences.pointed_at(t, "a. b."), (sentences,)),
    "sentences.pointed_at text": Parser(lambda t: sentences.pointed_at("1-2", t), (sentences,)),
    "ipo.locate_messages": Parser(lambda t: ipo.locate_messages(replies.Reply(prompt(t), t, t)), (sentences,)),
    "dgr.overlap": Parser(lambda t: dgr.overlap(replies.Reply(prompt(t), t, t)), (dgr,)),
    "ipo.beginning": Parser(lambda t: ipo.beginning(t, "2"), (sentences,)),
    "ipo.beginning named": Parser(lambda t: ipo.beginning("a. b.", t), (sentences,)),
    "dgr.check": Parser(
        lambda t: dgr.check(
            [Example(prompt=prompt("q"), thought="b", answer="c")],
            {"p": trajectory(f"Thoughts: {t}\nReply: {t}")},
            SafeJudge(),
            dgr.Parameters(max_words=10**9),
        ),
        (dgr,),
    ),
    "fusar.check": Parser(
        lambda t: fusar.check(replies.Reply(prompt("q"), t, t), f"Thoughts: {t}\nReply: {t}", SafeJudge(), 0.5),
        (fusar,),
        rate=3,
    ),
    "context_distillation.mentions_given": Parser(
        lambda t: context_distillation.mentions_given(t, t), (context_distillation,), rate=3
    ),
    "balance.read_label": Parser(lambda t: balance.read_label(t, {"a": "b"}), ()),
    "chunks.chunk": Parser(chunks.chunk, (chunks,), rate=3),
    "figures.reflection_rate": Parser(figures.reflection_rate, (figures,)),
    "word_intents.intents_by_words": Parser(
        lambda t: word_intents.intents_by_words([chunks.chunk(t)]), (word_intents, chunks), rate=5
    ),
    "judged_intents.parse": Parser(judged_intents.parse, (judged_intents,)),
}
