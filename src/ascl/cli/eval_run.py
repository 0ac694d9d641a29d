"""What `ascl eval` and `ascl eval rejudge` do."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ascl.chat.clients.dtype import machine_dtype
from ascl.chat.clients.fingerprint import local_facts
from ascl.chat.clients.models import load_renderer
from ascl.chat.clients.openai_server import OpenAIClient
from ascl.chat.clients.sampling import Client, Sampling
from ascl.chat.messages import Trajectory
from ascl.chat.turn import Turn
from ascl.cli.table import cell, print_left_out
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import VARIANTS, Variant, shown_to
from ascl.errors import InputError
from ascl.evals.results import Evaluation, Results, find_evaluations, read_evaluation, slug
from ascl.evals.suite import (
    ask,
    check_folder,
    collect_answers,
    judge_evaluation,
    judge_names,
    lacking,
    reward_judge,
)
from ascl.folders import working_in
from ascl.judges.named import judge_settings
from ascl.judges.open_judge import open_judge
from ascl.judges.settings import JudgeSettings
from ascl.pipeline import PACKAGES, machine, package_version
from ascl.preflight import (
    RECORDS,
    Server,
    check_judge,
    check_servers,
    check_space,
    check_writable,
    judge_servers,
    model_config,
)
from ascl.progress import Screen, waiting
from ascl.rules.book import RuleBook
from ascl.terminal import echo

if TYPE_CHECKING:
    from ascl.chat.clients.in_process import InProcessClient

COLUMNS = {
    "safety": "safety",
    "over_refusal": "over-\nrefusal",
    "reasoning": "reasoning",
    "h_avg": "H-avg",
    "consult_safety": "consult\nsafety",
    "consult_reasoning": "consult\nreasoning",
    "tokens": "tokens",
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options of `ascl eval`."""

    model: str
    name: str | None
    base_url: str | None
    suite: str
    variants: list[str]
    judges: list[str]
    out: Path | None
    limit: int
    epochs: int
    greedy: bool
    skip_missing: bool
    max_tokens: int
    seed: int
    rules: str
    embedding_model: str | None
    top_k: int
    dialect: str | None
    dtype: str
    batch: int
    concurrency: int
    check: bool


@dataclass
class LoadedWhenAsked:
    """A model in this process whose weights are read at the first prompt: an evaluation may want none any more."""

    model: str
    dialect: str | None
    dtype: str

    @cached_property
    def _client(self) -> "InProcessClient":
        from ascl.chat.clients.in_process import InProcessClient
        from ascl.chat.clients.models import load_model, load_renderer

        return InProcessClient(load_model(self.model, self.dtype), load_renderer(self.model, self.dialect))

    def complete(self, trajectories: list[Trajectory], tools: list[dict[str, Any]], sampling: Sampling) -> list[Turn]:
        """See `Client`."""
        return self._client.complete(trajectories, tools, sampling)


def run_variants(wanted: Wanted) -> None:
    """Evaluate every variant, each in a folder of its own, and print the figures."""
    variants = list(dict.fromkeys(variant.strip() for variant in wanted.variants))
    for variant in variants:
        if variant not in get_args(Variant):
            raise InputError(f"--variant {variant}: use one or several of {', '.join(VARIANTS)}, separated by commas")
    dtype = None if wanted.base_url else machine_dtype(wanted.dtype)  # a missing extra is told before anything else
    if wanted.dialect and wanted.base_url:
        raise InputError("--dialect: a server writes thoughts and calls its own way; leave it out with --base-url")
    folder = Path(wanted.model) if wanted.base_url is None and Path(wanted.model).is_dir() else None
    short = slug(Path(os.path.realpath(folder)).name if folder else wanted.model.rsplit("/", 1)[-1])
    out = wanted.out or Path("runs") / f"eval-{short}"
    book = RuleBook.load(wanted.rules, wanted.embedding_model)
    tool = ConsultTool(book, wanted.top_k)
    settings = [judge_settings(text) for text in wanted.judges]
    asked = ask(
        wanted.suite, wanted.limit, wanted.epochs, wanted.greedy, wanted.max_tokens, wanted.seed, wanted.skip_missing
    )
    client: Client
    if wanted.base_url is not None:
        client = OpenAIClient(wanted.model, wanted.base_url, wanted.concurrency)
    else:
        assert dtype is not None
        client = LoadedWhenAsked(wanted.model, wanted.dialect, dtype)
    rule_book = {"source": wanted.rules, "hash": book.hash, "rules": len(book.rules), "top_k": wanted.top_k}
    if wanted.embedding_model:
        rule_book["embedding_model"] = wanted.embedding_model
    of_model = {} if wanted.base_url is not None else local_facts(wanted.model, wanted.dialect)
    planned: dict[Variant, Evaluation] = {}
    for variant in cast(list[Variant], variants):
        planned[variant] = Evaluation(
            name=f"{wanted.name or short} {variant}",
            model=wanted.model,
            base_url=wanted.base_url,
            dialect=wanted.dialect,
            variant=variant,
            suite=wanted.suite,
            benchmarks={name: benchmark for name, (benchmark, _) in asked.items()},
            rule_book=rule_book,
            shown=shown_to(variant, tool) | of_model,
            dtype=dtype,
            batch=None if wanted.base_url else wanted.batch,
            reward_judge=reward_judge(folder) if folder else None,
            created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            machine=machine(),
            versions={package: package_version(package) for package in PACKAGES},
        )
    _check(wanted, out, planned, settings, book)
    if wanted.check:
        return
    prompts = {name: of for name, (_, of) in asked.items()}
    found: dict[str, Results] = {}
    for variant, evaluation in planned.items():
        place = out / variant
        with waiting(evaluation.name), working_in(place):
            judges = [open_judge(one, book, place / "judge_replies.jsonl") for one in settings]
            collect_answers(place, evaluation, prompts, client, tool, wanted.batch, judges=judge_names(judges))
            found[variant] = judge_evaluation(place, judges)
    print_results(found)
    folders = ", ".join(str(out / variant) for variant in found)
    Screen().say(f"folders: {folders}")


def _check(
    wanted: Wanted, out: Path, planned: dict[Variant, Evaluation], settings: list[JudgeSettings], book: RuleBook
) -> None:
    """Look for all that the evaluations of all variants will need; with --check, print what is to do.

    Raises InputError.
    """
    answers = verdicts = 0
    lines = []
    for variant, evaluation in planned.items():
        place = out / variant
        check_writable(place)
        judges = [open_judge(one, book, place / "judge_replies.jsonl") for one in settings]
        for name, lack in lacking(place, check_folder(place, evaluation), judge_names(judges)).items():
            answers, verdicts = answers + lack[0], verdicts + lack[1]
            to_do = f"to do: {lack[0]} answers, {lack[1]} verdicts" if any(lack) else "done"
            lines.append(f"{variant:<8}{name:<24}{to_do}")
    servers = [server for one in settings for server in judge_servers(one)] if verdicts else []
    if answers and wanted.base_url is not None:
        servers.append(Server("model", wanted.model, wanted.base_url))
    check_servers(servers)
    if answers and wanted.base_url is None:
        model_config(wanted.model)
        load_renderer(wanted.model, wanted.dialect)
    for judge in judges if verdicts else []:
        check_judge(judge)
    check_space(out, RECORDS, "an evaluation")
    if wanted.check:
        echo("\n".join(lines))


def rejudge_log(log: Path, names: Sequence[str], rules: str | None) -> None:
    """Judge the answers of evaluations, or of an Inspect log, by other judges, and print the figures.

    rules: the policy of the judge `safeguard`; None takes the rule book of each evaluation.
    """
    settings = [judge_settings(one) for one in names]
    check_servers(server for one in settings for server in judge_servers(one))
    if log.suffix == ".eval":
        from ascl.evals.inspect.logs import evaluation_from_log

        folders = [evaluation_from_log(log, log.with_suffix(""))]
    else:
        folders = find_evaluations([log])
    for folder in folders:
        evaluation = read_evaluation(folder)
        book = RuleBook.load(rules or evaluation.rule_book.get("source", "default"))
        with working_in(folder):
            judges = [open_judge(one, book, folder / "judge_replies.jsonl") for one in settings]
            results = judge_evaluation(folder, judges, anew=True)
        print_results({evaluation.name: results})


def print_results(found: dict[str, Results]) -> None:
    """The figures of each variant, what each benchmark gave, how far the judges agree, and the warnings."""
    console = Screen()
    table = Table(title="percent, and the 95 % interval", box=SIMPLE_HEAD, padding=(0, 1, 1, 1))
    table.add_column("variant", no_wrap=True)
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for name, results in found.items():
        table.add_row(name, *(cell(results.summary.get(key), 1 if key == "tokens" else 100) for key in COLUMNS))
    console.print(table)
    table = Table(title="score by benchmark", box=SIMPLE_HEAD, padding=(0, 1, 1, 1))
    table.add_column("benchmark", no_wrap=True)
    for variant in found:
        table.add_column(variant, justify="right")
    for name in dict.fromkeys(name for results in found.values() for name in results.benchmarks):
        scores = [results.benchmarks[name].figures["score"] for results in found.values()]
        table.add_row(name, *map(cell, scores))
    console.print(table)
    for judge in dict.fromkeys(results.judge for results in found.values()):
        of = (results for results in found.values() if results.judge == judge)
        print_left_out((one.figures["score"] for results in of for one in results.benchmarks.values()), judge)
    for variant, results in found.items():
        for pair in results.agreement:
            same = " and ".join(
                f"{what} {100 * share:.0f} % (kappa {'-' if kappa is None else f'{kappa:.2f}'})"
                for what, share, kappa in (
                    ("safe", pair.safe, pair.safe_kappa),
                    ("refusal", pair.refusal, pair.refusal_kappa),
                )
                if share is not None
            )
            said = (
                f"{variant}: {pair.first} and {pair.second} agree on {pair.n} answers: {same or 'nothing to compare'}"
                f"; unjudged {100 * (pair.unjudged or 0.0):.1f} %"
            )
            console.say(said)
    warned: dict[str, list[str]] = {}
    for variant, results in found.items():
        for warning in results.warnings:
            warned.setdefault(warning, []).append(variant)
    for warning, variants in warned.items():
        console.say(f"{', '.join(variants)}: {warning}")
