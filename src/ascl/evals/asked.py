"""From a suite's name to what is asked of a model: each benchmark's prompts, and how they are sampled.

A suite is one of `SUITES`, some of `BENCHMARKS` separated by commas, or prompts as `load_prompts` names them
(`starter`, `starter:20`, `file:PATH`, a public set, a set of your own as `package.module:NAME`): those not meant for
training, one benchmark for each kind of them. The suite `starter:20` is 20 of each kind: the first 20 of the set are
all harmful, and all for training.
"""

import re
from collections.abc import Sequence
from typing import Any

from ascl.data.load import SOURCES, STARTER_NAME, is_own, load_prompts, number_after, source_of
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError
from ascl.evals.benchmarks import BENCHMARKS, QUICK_LIMIT, SUITES, Benchmark, benchmarks_of, load_benchmark, spread
from ascl.evals.books import book_benchmarks
from ascl.evals.results import AXIS_OF, Asked
from ascl.evals.settings import EvalSettings
from ascl.models.fingerprint import short_hash
from ascl.progress import console

AskedPrompts = dict[str, tuple[Asked, list[Prompt]]]


def ask(
    settings: EvalSettings, prompts: Sequence[Prompt] | None = None, categories: Sequence[str] = ()
) -> AskedPrompts:
    """What is asked, by benchmark. prompts: ask these, whatever the suite is. categories: of the rule book in force.

    Raises InputError for a set that can't be read, and for several epochs of greedy answers, which would all be alike.
    """
    if settings.epochs > 1 and (settings.greedy or settings.suite == "quick"):
        raise InputError(f"--epochs {settings.epochs}: greedy answers to a prompt are all the same; ask once")
    if prompts is None:
        starter = STARTER_NAME.fullmatch(settings.suite)
        if number := number_after(starter["limit"] if starter else None, settings.suite):
            settings = settings.model_copy(update={"suite": "starter", "limit": min(number, settings.limit or number)})
        prompts = _own_prompts(settings.suite)
    asked = _of_benchmarks(settings) if prompts is None else _of_prompts(settings, prompts)
    if settings.books:
        asked |= {
            benchmark.name: (_asked(benchmark, chosen := spread(rows, settings.limit or len(rows)), settings), chosen)
            for benchmark, rows in book_benchmarks(categories)
        }
    if not asked:
        raise InputError(f"suite {settings.suite}: none of its benchmarks can be read")
    return asked


def _own_prompts(suite: str) -> list[Prompt] | None:
    """The prompts of a suite that names prompts; None for one that names benchmarks."""
    if suite in SUITES or all(name.strip() in BENCHMARKS for name in suite.split(",")):
        return None
    named = [suite] if suite.startswith("file:") else [name.strip() for name in suite.split(",")]
    if not any(_names_prompts(name) for name in named):
        benchmarks_of(suite)  # says what there is
    prompts = [prompt for prompt in load_prompts(named) if prompt.split != "train"]
    if not prompts:
        raise InputError(f"suite {suite}: every prompt of it is marked for training (`split`: train)")
    return prompts


def _names_prompts(name: str) -> bool:
    key = name.partition("@")[0]
    return bool(re.match(r"(starter|file)\b", key)) or key.split(":")[0] in SOURCES or is_own(re.sub(r":\d+$", "", key))


def _of_benchmarks(settings: EvalSettings) -> AskedPrompts:
    found = {}
    limit = settings.limit or (QUICK_LIMIT if settings.suite == "quick" else 0)
    for benchmark in benchmarks_of(settings.suite):
        try:
            prompts = load_benchmark(benchmark, limit)
        except InputError as error:
            if not settings.skip_missing:
                raise
            console.say(f"left out: {benchmark.name} ({error})")
            continue
        found[benchmark.name] = _asked(benchmark, prompts, settings), prompts
    return found


def _of_prompts(settings: EvalSettings, prompts: Sequence[Prompt]) -> AskedPrompts:
    """One benchmark for each source and kind. Plain prompts are shown, and don't count in the mean of their axis."""
    of: dict[tuple[Kind, str], list[Prompt]] = {}
    for kind in Kind:
        for prompt in prompts:
            if prompt.kind is kind:
                of.setdefault((kind, prompt.source), []).append(prompt)
    found: AskedPrompts = {}
    for (kind, source), rows in of.items():
        short = source.rpartition(":")[2] if is_own(source) else source.rsplit(".", 1)[0]
        name = f"{re.sub('[^a-z0-9_]+', '_', short.lower()).strip('_') or 'prompts'}_{kind.value}"
        while name in found:
            name += "_"
        benchmark = Benchmark(
            name=name,
            source=source,
            axis=AXIS_OF[kind],
            kind=kind,
            rows=len(rows),
            rows_from="set",
            macro=kind is not Kind.PLAIN,
        )
        chosen = spread(rows, settings.limit) if settings.limit else rows
        found[name] = _asked(benchmark, chosen, settings), chosen
    return found


def _asked(benchmark: Benchmark, prompts: list[Prompt], settings: EvalSettings) -> Asked:
    changes: dict[str, Any] = {"seed": settings.seed}
    changes |= {"temperature": 0.0, "top_p": 1.0} if settings.greedy else {}
    changes |= {"max_tokens": settings.max_tokens} if settings.max_tokens else {}
    known = benchmark.source in SOURCES or is_own(benchmark.source)
    source = source_of(benchmark.source) if known else None
    return Asked(
        axis=benchmark.axis,
        kind=benchmark.kind,
        source=benchmark.source,
        licence=source.licence if source else "",
        revision=source.revision if source else None,
        rows=benchmark.rows,
        prompts=len(prompts),
        hash=short_hash("\n".join(prompt.model_dump_json() for prompt in prompts)),
        epochs=settings.epochs or (1 if settings.greedy else benchmark.epochs),
        sampling=benchmark.sampling.model_copy(update=changes),
        macro=benchmark.macro,
    )
