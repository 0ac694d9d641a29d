"""Judge answers again that are on disk: of evaluations, or of a run."""

from collections.abc import Sequence
from pathlib import Path

from ascl.evals.evaluation import judge_evaluation
from ascl.evals.results import Results, read_evaluation
from ascl.folders import working_in
from ascl.judges.open_judge import open_judge
from ascl.judges.settings import JudgeSettings
from ascl.rules.book import RuleBook


def rejudge(folders: Sequence[Path], judges: Sequence[JudgeSettings], rules: str | None = None) -> dict[str, Results]:
    """The figures by the judges, of whom the first counts, by the name of each evaluation. Raises InputError.

    folders: evaluations (`find_evaluations`). rules: what `safeguard` and `book` judge by; None takes the rule book of
    each evaluation.
    """
    found = {}
    for folder in folders:
        evaluation = read_evaluation(folder)
        book = RuleBook.load(rules or evaluation.rule_book.get("source", "default"))
        with working_in(folder):
            opened = [open_judge(one, book, folder / "judge_replies.jsonl") for one in judges]
            found[evaluation.name] = judge_evaluation(folder, opened, again=True)
    return found
