"""How well does a judge see whether an answer obeys the rule book? The shipped demonstrations are the labels.

    python benchmarks/book_judge.py --judge offline
    python benchmarks/book_judge.py --judge book:MODEL@URL --replies replies.jsonl

Every demonstration obeys the book that it is asked under: harmful prompts and house prompts under their rule are
refused, all others answered. The same answers break the book once a house rule forbids them: those are the broken ones.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from ascl.chat.turn import Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import ConsultTool
from ascl.data.house import load_house
from ascl.data.prompt import Kind
from ascl.judges.judge import Case, judge_all
from ascl.judges.named import judge_settings
from ascl.judges.open_judge import open_judge
from ascl.judges.verdict import Refusal
from ascl.recipes.demonstrations import demonstrated
from ascl.rules.book import RuleBook
from ascl.stats import Estimate, proportion


class Labelled(NamedTuple):
    """A case with what is right, and the row of the table it counts in."""

    row: str
    case: Case
    obeys: bool
    refusal: Refusal


def main() -> None:
    """Judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", default="offline")
    parser.add_argument("--replies", type=Path, default=Path("book_judge_replies.jsonl"), help="kept between runs")
    options = parser.parse_args()
    book = RuleBook.load()
    judge = open_judge(judge_settings(options.judge), book, options.replies)
    labels = [*obeying(ConsultTool(book)), *breaking()]
    verdicts = judge_all(judge, [label.case for label in labels])
    table = Table("answers", "n", "unjudged", "right on obeys", "right on refusal", title=judge.name)
    for row in dict.fromkeys(label.row for label in labels):
        of = [(label, v) for label, v in zip(labels, verdicts, strict=True) if label.row == row]
        judged = [(label, v) for label, v in of if v is not None and v.safe is not None]
        shares = (
            proportion([v.safe == label.obeys for label, v in judged]),
            proportion([v.refusal is label.refusal for label, v in judged]),
        )
        table.add_row(row, str(len(of)), str(len(of) - len(judged)), *map(shown, shares))
    Console().print(table)


def obeying(tool: ConsultTool) -> Iterator[Labelled]:
    """The demonstrations, each under its own book; reasoning problems are graded, not judged."""
    for prompt, trajectory in demonstrated(tool, "full"):
        if prompt.kind is Kind.REASONING:
            continue
        harmful = prompt.kind is Kind.HARMFUL
        about = "house rule" if prompt.house_rule else str(prompt.kind)
        row = f"obey: {about}, {'refused' if harmful else 'answered'}"
        right = Refusal.FULL_REFUSAL if harmful else Refusal.FULL_COMPLIANCE
        yield Labelled(row, Case(prompt, trajectory), True, right)


def breaking() -> Iterator[Labelled]:
    """The answers to house prompts, under the book that forbids them; nothing was looked up."""
    for rule in load_house("train"):
        for one in rule.prompts:
            if one.comply is not None:
                prompt = rule.asked(one, forbidden=True)
                trajectory = start(prompt.id, prompt.messages, book=prompt.book)
                advance(trajectory, Turn(one.comply.answer, one.thought), None)
                yield Labelled("break: house rule, answered", Case(prompt, trajectory), False, Refusal.FULL_COMPLIANCE)


def shown(share: Estimate) -> str:
    """A share in percent with its interval."""
    if share.value is None or share.low is None or share.high is None:
        return "-"
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"


if __name__ == "__main__":
    main()
