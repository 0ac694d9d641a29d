"""One model in several prompt variants, each an evaluation in a folder of its own."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from ascl.consult.tool import ConsultTool
from ascl.consult.variants import VARIANTS, Variant
from ascl.errors import InputError
from ascl.evals.asked import ask
from ascl.evals.evaluate import Planned, Subject, plan_evaluation
from ascl.evals.results import Results, slug
from ascl.evals.settings import EvalSettings
from ascl.judges.settings import JudgeSettings
from ascl.models.dtype import machine_dtype
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
from ascl.rules.book import RuleBook


def variants_of(text: str) -> list[Variant]:
    """The variants named with commas. Raises InputError for one that is none."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in VARIANTS:
            raise InputError(f"--variant {name}: use one or several of {', '.join(VARIANTS)}, separated by commas")
    return cast(list[Variant], names)


def plan_variants(
    subject: Subject,
    settings: EvalSettings,
    out: Path | None = None,
    rules: str = "default",
    embedding_model: str | None = None,
    top_k: int = 3,
    exemptions: bool = True,
    topics: bool = True,
) -> list[Planned]:
    """The evaluations of a model in all variants of the settings. Raises InputError; nothing is asked or written.

    rules, embedding_model: the rule book. top_k, exemptions, topics: how it is shown (`ConsultTool`).
    The subject's name: what reports call the model (empty: the end of its own name); its variant is put after it.
    """
    if subject.base_url is None:  # a missing extra is told before anything else
        subject = replace(subject, dtype=machine_dtype(subject.dtype or "auto"))
    elif subject.dialect:
        raise InputError("--dialect: a server writes thoughts and calls its own way; leave it out with --base-url")
    else:
        subject = replace(subject, dtype=None)
    local = subject.base_url is None and Path(subject.model).is_dir()
    short = slug(Path(os.path.realpath(subject.model)).name if local else subject.model.rsplit("/", 1)[-1])
    place = out or Path("runs") / f"eval-{short}"
    tool = ConsultTool(RuleBook.load(rules, embedding_model), top_k, exemptions=exemptions, topics=topics)
    asked = ask(settings, categories=tool.book.categories)
    client = subject.client(settings.concurrency)
    return [
        plan_evaluation(
            replace(subject, name=f"{subject.name or short} {variant}"),
            variant,
            place / variant,
            settings,
            asked,
            tool,
            rules,
            client,
        )
        for variant in settings.variants
    ]


def check_variants(planned: Sequence[Planned]) -> list[str]:
    """Look for all that the evaluations will need, and say what is to do. Raises InputError."""
    answers = verdicts = 0
    lines = []
    for one in planned:
        check_writable(one.folder)
        for name, lack in one.lacking().items():
            answers, verdicts = answers + lack[0], verdicts + lack[1]
            to_do = f"to do: {lack[0]} answers, {lack[1]} verdicts" if any(lack) else "done"
            lines.append(f"{one.evaluation.variant:<8}{name:<24}{to_do}")
    first = planned[0]
    asked = first.evaluation
    settings: list[JudgeSettings] = list(first.settings.judges) if verdicts else []
    servers = [server for one in settings for server in judge_servers(one)]
    if answers and asked.base_url is not None:
        servers.append(Server("model", asked.model, asked.base_url))
    check_servers(servers)
    if answers and asked.base_url is None:
        from ascl.models.models import load_renderer

        model_config(asked.model)
        load_renderer(asked.model, asked.dialect)
    for judge in first.judges if verdicts else []:
        check_judge(judge)
    check_space(first.folder, RECORDS, "an evaluation")
    return lines


def evaluate_variants(planned: Sequence[Planned]) -> dict[str, Results]:
    """Carry them out, one after the other; the results by variant."""
    return {one.evaluation.variant: one.carry_out() for one in planned}
