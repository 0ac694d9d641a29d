"""Evaluate a model: what is asked of it, in which variants, where its answers lie, and who judges them.

`ascl eval`, the stages of `ascl run` and `ascl.evaluate` all go this way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ascl import provenance
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import Variant, shown_to
from ascl.evals.asked import AskedPrompts
from ascl.evals.evaluation import check_folder, collect_answers, judge_evaluation, judge_names, lacking
from ascl.evals.results import Evaluation, Results
from ascl.evals.settings import EvalSettings
from ascl.folders import working_in
from ascl.inputs import read_json
from ascl.judges.judge import Judge
from ascl.judges.open_judge import open_judge
from ascl.models.fingerprint import local_facts
from ascl.models.open_client import open_client
from ascl.models.sampling import Client
from ascl.progress import waiting


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The model that is evaluated.

    name: what reports call it. base_url: its server; without one it runs in this process, in `dtype`. arm, seed: of a
    run (see `Evaluation`).
    """

    model: str
    name: str
    base_url: str | None = None
    dialect: str | None = None
    dtype: str | None = None
    arm: str | None = None
    seed: int = 0

    def client(self, concurrency: int) -> Client:
        """Whom to ask; a model in this process is loaded when it is first asked."""
        return open_client(self.model, self.base_url, concurrency, self.dialect, self.dtype or "auto")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One model in one variant, ready to be asked and judged in a folder of its own."""

    folder: Path
    evaluation: Evaluation
    asked: AskedPrompts
    client: Client
    tool: ConsultTool
    judges: Sequence[Judge]
    settings: EvalSettings

    def lacking(self) -> dict[str, tuple[int, int]]:
        """How many answers and verdicts each benchmark lacks. Raises InputError where the folder holds another one."""
        return lacking(self.folder, check_folder(self.folder, self.evaluation), judge_names(self.judges))

    def carry_out(self) -> Results:
        """Ask, judge and measure what is not there yet. Raises InputError."""
        with waiting(self.evaluation.name), working_in(self.folder):
            prompts = {name: of for name, (_, of) in self.asked.items()}
            judges = judge_names(self.judges)
            batch = self.settings.batch
            collect_answers(self.folder, self.evaluation, prompts, self.client, self.tool, batch, judges=judges)
            return judge_evaluation(self.folder, self.judges)


def plan_evaluation(
    subject: Subject,
    variant: Variant,
    folder: Path,
    settings: EvalSettings,
    asked: AskedPrompts,
    tool: ConsultTool,
    rules: str = "default",
    client: Client | None = None,
    judges: Sequence[Judge] | None = None,
) -> Planned:
    """The evaluation of a model in a variant, on what `ask` gave. Nothing is loaded, asked or written yet.

    rules: how the tool's rule book was named. client, judges: those of the subject and the settings, unless given.
    """
    book = tool.book
    rule_book = {"source": rules, "hash": book.hash, "rules": len(book.rules), "top_k": tool.default_top_k}
    if book.embedding_model:
        rule_book["embedding_model"] = book.embedding_model
    if not tool.exemptions:
        rule_book["exemptions"] = False
    local = subject.base_url is None
    evaluation = Evaluation(
        name=subject.name,
        model=subject.model,
        base_url=subject.base_url,
        dialect=subject.dialect,
        variant=variant,
        suite=settings.suite,
        benchmarks={name: benchmark for name, (benchmark, _) in asked.items()},
        rule_book=rule_book,
        shown=shown_to(variant, tool) | (local_facts(subject.model, subject.dialect) if local else {}),
        dtype=subject.dtype,
        batch=settings.batch if local else None,
        reward_judge=reward_judge(Path(subject.model)) if local else None,
        arm=subject.arm,
        seed=subject.seed,
        created=provenance.now(),
        machine=provenance.machine(),
        versions=provenance.versions(),
    )
    if judges is None:
        judges = [open_judge(one, book, folder / "judge_replies.jsonl") for one in settings.judges]
    if client is None:
        client = subject.client(settings.concurrency)
    return Planned(
        folder=folder,
        evaluation=evaluation,
        asked=asked,
        client=client,
        tool=tool,
        judges=judges,
        settings=settings,
    )


def reward_judge(model: Path) -> str | None:
    """The judge that gave the reward in a trained model's RL, where its folder says so."""
    path = model / "training.json"
    facts = read_json(path) if path.is_file() else None
    judge = facts.get("judge") if isinstance(facts, dict) else None
    return judge if isinstance(judge, str) else None
