"""Every parser takes time in proportion to the length of its text, whatever the text repeats.

What is measured is CPU time, a text and one eight times as long in the same process: a loaded machine is slow for both.
A parser fails where it is beyond the bounds three times in a row. Each run tries what was slow once and a few other
texts; with ASCL_EVERY_CASE=1 it tries all of them (about 15 minutes).
"""

import gc
import inspect
import os
import pkgutil
import random
import re
import time
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType

import pytest
from parsers import PARSERS, Parser
from pumped import GENERIC, patterns_of, units_of

SIZES = (4_000, 32_000, 256_000, 1_000_000)
GROWTH = 2.5  # how many times faster than its text the time may grow; quadratic time grows 8 times faster
UNMEASURED = 0.0005  # seconds below which a time says nothing
ENOUGH = 0.02  # seconds from which a longer text says no more, where the rate is right
UNITS = 2  # texts that are tried of each parser
# What took quadratic time or worse, as (what stands before, what is repeated, what stands behind).
SLOW_ONCE: dict[str, list[tuple[str, str, str]]] = {
    "choice.read_choice": [("", "\n", "¤"), ("A and", " ", "¤"), ("q", " ", "¤")],
    "stated.read_stated": [("q", " ", "¤"), ("", r"\boxed{1}, ", ""), (r"\boxed{1}", " ", r"\boxed{2}")],
    "hermes.parse": [("", "<tool_call>", "")],
    "qwen_agent.parse": [("", "✿FUNCTION✿:", ""), ("✿FUNCTION✿:", " ", "¤")],
    "completion.read_turn": [("", "<tool_call>", ""), ("", "~", ""), ("", "<|im_end|>", ""), ("", "<invoke name=", "")],
    "server_text.read_said": [("", "<function=", "</tool_call>"), ("<tool_call>{", "<parameter=", "")],
    "server_text.read_channels": [("analysisWe said assistantcommentary to=a", " ", "¤")],
    "offline.claims_consultation": [("", "the search says ", "")],
    "consult_checks.refers_to_results": [("", "the search says ", "")],
    "refusal.classify_refusal prompt": [("", "reasons why ", "")],
    "refusal.classify_refusal answer": [("", " ```a``` ", "")],
    "refusal.sentences": [("", " ", "¤"), ("", "\n", "¤")],
    "surrogate.without_lookups": [("", "i ", ""), ("", "check ", ""), ("", "i think that we ", ""), ("", " ", "a")],
    "expression.values": [("3 ab", " ^2", "5"), ("3", "\n", "¤")],
    "expression.as_latex": [("", "1", ""), ("", " ", "¤")],
    "plain_text.plain": [("", "【", ""), ("", "_ ", ""), ("", "$", "")],
    "spoken.spoken": [("```", " ", "¤")],
    "qwen3guard.parse": [("", "\n", "¤"), ("", "<|im_start|>", "")],
    "fusar.check": [("", "\n", "¤")],
    "purify.diff lines": [("", "a ", "")],
    "ids.make_ids same": [("", "> ", "")],
    "markdown.read_list": [("", "<!--", "")],
    "markdown.read_list item": [
        ("", "[", ""), ("x", "<!-- ", ""), ("x", "<!a", ""), ("<!--", "-", ""), ("a ", "[^a", "")
    ],
    "ids.recognise": [("", "a b ", "")],
    "ids.recognise no two alike": [("", "a b ", ""), ("", "漢字", "")],
    "ids.recognise long": [("", "a b ", "")],
    "safeguard.policy": [("", "a b ", "")],
    "book_judge.policy": [("", "Verdict: ", "")],
    "wildguard.ask": [("", "-", "")],
    "bare_call.unfenced": [("", "~", "")],
    "bare_call.is_bare_call brackets": [("", "1,", "")],
    "load.yaml": [("", "{", ""), ("", "- ", "")],
}  # fmt: skip


def seconds(read: Callable[[str], object], text: str) -> float:
    """The CPU time of one reading."""
    gc.disable()
    try:
        began = time.process_time()
        read(text)
        return time.process_time() - began
    finally:
        gc.enable()


def slowness() -> float:
    """How many times slower than 10 million characters a second this machine reads words just now; at least 1."""
    words = seconds(lambda text: [word.lower() for word in re.findall(r"\b\w+\b", text)], "a word, " * 12_500)
    return max(1.0, words / 0.01)


def problem(parser: Parser, before: str, unit: str, behind: str) -> str:
    """What is wrong with the time a parser takes for a text; empty where nothing is."""
    shorter = 0.0
    for size in SIZES:
        size = min(size, parser.most)
        text = before + (unit * (size // len(unit) + 1))[:size] + behind
        took = seconds(parser.read, text)
        if shorter and took > GROWTH * 8 * max(shorter, UNMEASURED):
            return f"{size} characters took {took:.3f} s, an eighth {shorter:.4f} s"
        if took > parser.rate and took > parser.rate * size / 1e6 * 8:  # hopeless: no longer text is tried
            return f"{size} characters took {took:.3f} s"
        if (took > ENOUGH and took <= parser.rate * size / 1e6) or size == parser.most:
            break
        shorter = took
    limit = parser.rate if size == parser.most else parser.rate * size / 1e6
    if took <= limit or took <= limit * slowness():
        return ""
    return f"{size} characters took {took:.3f} s, more than {limit:.2f}"


# Parts of what is listed, or no more than a text put into another.
PARTS = {
    *("book_judge.messages", "denied.denied", "denied.either", "guard.one_line"),
    *("guard.exchange", "hallucination.messages", "latex.equal", "named.judge_settings", "refusal.read_part"),
    "refusal.refuses",
    *("safeguard.messages", "spoken.after_thought", "spoken.labelled", "stated.statements", "strongreject.messages"),
    *("topic.topic_words", "topic.is_english", "topic.loops", "topic.off_topic", "wildguard.messages", "words.words"),
    *("decontaminate.normalise", "cog_safb.checked", "cog_safr.recomposed", "sentences.sentences", "rows.reply_row"),
    *("phrases.unbroken", "turn.read_json", "hermes.split_thought", "hermes.split_calls", "hermes.thought_end"),
    *("inline_thought.begins", "inline_thought.begun", "inline_thought.closes_only"),
    *("inline_thought.join", "inline_thought.split", "mistral.thought_end", "tagged.split_tagged"),
}
ROOMS = (
    "chat",
    "models",
    "chat.dialects",
    "consult",
    "evals.traces",
    "judges",
    "judges.lexical",
    "judges.guards",
    "judges.asking",
    "judges.graders",
    "recipes",
    "rules",
)
TEXTS = ("answer", "asked", "expression", "mathematics", "prompt", "query", "reply", "said", "text", "thought", "title")


@pytest.mark.parametrize("room", ROOMS)
def test_every_function_that_reads_a_text_is_tried(room: str) -> None:
    package = import_module(f"ascl.{room}")
    listed = {name.split()[0] for name in PARSERS} | PARTS
    for found in pkgutil.iter_modules(package.__path__):
        module = import_module(f"ascl.{room}.{found.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                taken = inspect.signature(function).parameters.values()
                texts = [p.name for p in taken if p.name in TEXTS and p.annotation in (str, str | None)]
                assert not texts or f"{found.name}.{name}" in listed, f"list {found.name}.{name} in tests/parsers.py"


@cache
def own_units(module: ModuleType) -> set[str]:
    """The texts that a module's own patterns give."""
    return {unit for pattern in patterns_of(module) for unit in units_of(pattern)}


def texts(name: str) -> list[tuple[str, str, str]]:
    """The texts a parser is tried with."""
    units = {unit for module in PARSERS[name].modules for unit in own_units(module)}
    shapes = [
        shape
        for unit in sorted(units.union(GENERIC))
        for shape in (("", unit, ""), ("", unit, "\n=5¤x"), (unit, unit[-1], "¤"))
    ]
    if os.environ.get("ASCL_EVERY_CASE"):
        return [*SLOW_ONCE.get(name, ()), *shapes]
    return [*SLOW_ONCE.get(name, ()), *random.Random(name).sample(shapes, UNITS)]


@pytest.mark.parametrize("name", PARSERS)
def test_time_is_linear(name: str) -> None:
    parser = PARSERS[name]
    parser.read("Yes, word 3.")  # what is loaded once is loaded now
    for text in texts(name):
        found = [problem(parser, *text)]
        while found[-1] and len(found) < 3:
            found.append(problem(parser, *text))
        assert "" in found, f"{text}: {found}"
