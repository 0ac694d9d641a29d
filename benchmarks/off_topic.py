"""How often does the offline judge call a reply off-topic that is not, and how often one that is?

    ASCL_BENCH_DIR=FOLDER python benchmarks/off_topic.py

Replies on topic are XSTest's (with human labels), STAR-1's, GSM8K's solutions, the examples of MD-Judge and the
starter demonstrations, each beside its own prompt: every one called off-topic is a false alarm. Off-topic ones are made
by putting the same replies beside the prompts of others, drawn from all sets with a fixed seed. Only replies that the
judge finds neither refused nor partly refused count. `long`: those with enough content words for any prompt.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ascl.data.load import load_prompts
from ascl.errors import InputError
from ascl.inputs import read_jsonl
from ascl.judges.lexical.refusal import classify_refusal
from ascl.judges.lexical.topic import REPLY_WORDS, topic_words
from ascl.judges.verdict import Refusal
from ascl.recipes.demonstrations import load_demonstrations
from ascl.stats import Estimate, proportion

SETS = {
    "xstest": ("refusal_judge_calibration/xstest_human_labels.jsonl", "prompt", "response"),
    "star1": ("star1/train.jsonl", "question", "response"),
    "gsm8k": ("gsm8k/test.jsonl", "question", "solution"),
    "md-judge": ("salad_bench_sample/mdjudge_example_qa.jsonl", "prompt", "response"),
}
Pair = tuple[str, str]


def main() -> None:
    """Measure and print."""
    folder = os.environ.get("ASCL_BENCH_DIR")
    if not folder:
        raise InputError("ASCL_BENCH_DIR is not set: it names the folder that holds the public sets")
    pairs = {name: list(read(Path(folder) / path, *keys)) for name, (path, *keys) in SETS.items()}
    pairs["starter"] = list(demonstrations())
    prompts = [prompt for of in pairs.values() for prompt, _ in of]
    generator = random.Random(0)
    table = Table("replies", "own prompt", "called off-topic", "other prompt", "called off-topic", "long", "of those")
    for name, of in pairs.items():
        own = judged(of)
        other = judged([(generator.choice(prompts), reply) for _, reply in of])
        long = [found for reply, found in other if len(topic_words(reply)) >= REPLY_WORDS]
        cells = [proportion([found for _, found in some]) for some in (own, other)] + [proportion(long)]
        table.add_row(name, *(text for cell in cells for text in (str(cell.n), shown(cell))))
    Console().print(table)


def read(path: Path, prompt: str, reply: str) -> Iterator[Pair]:
    """The prompts of a file with their replies, thoughts left out."""
    for _, row in read_jsonl(path):
        yield row[prompt], row[reply].rpartition("</think>")[2].strip()


def demonstrations() -> Iterator[Pair]:
    """The starter prompts that have a demonstration, with its answer."""
    answers = {one.id: one.answer for one in load_demonstrations()}
    for prompt in load_prompts(["starter"]):
        if prompt.id in answers:
            yield prompt.text, answers[prompt.id]


def judged(pairs: list[Pair]) -> list[tuple[str, bool]]:
    """Replies that don't refuse, with whether they are found off-topic."""
    found = [(reply, classify_refusal(prompt, reply)) for prompt, reply in pairs]
    kept = (Refusal.FULL_COMPLIANCE, Refusal.OFF_TOPIC)
    return [(reply, verdict is Refusal.OFF_TOPIC) for reply, verdict in found if verdict in kept]


def shown(share: Estimate) -> str:
    """A share in percent with its interval."""
    if share.value is None or share.low is None or share.high is None:
        return "-"
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"


if __name__ == "__main__":
    main()
