"""The benchmarks by name and the suites: which rows of which public set, how often they are asked and how sampled.

`paper` is the suite of arXiv 2602.13562: its sets, counts, epochs and sampling. docs/benchmark_sets.md has the table.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from ascl.data.load import SOURCES, Name, load_prompts, local_file
from ascl.data.prompt import Kind, Prompt
from ascl.errors import InputError
from ascl.evals.results import Axis
from ascl.models.sampling import Sampling
from ascl.progress import console

MAX_TOKENS = 8192  # of the paper's training; it names no bound for its evaluation
GREEDY = Sampling(temperature=0.0, max_tokens=MAX_TOKENS)
SAMPLED = Sampling(temperature=0.6, top_p=0.95, max_tokens=MAX_TOKENS)
QUICK_LIMIT = 50  # prompts of each benchmark in the suite `quick`


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The rows of one public set that are of one kind (and of one category, where it is given).

    source: the set, a key of `SOURCES`. rows: the prompts of the whole benchmark; `rows_from` says whether that number
    is the paper's or the set's own. exact: the set holds just these; else the paper's choice of rows is not published,
    ours finds others, and at most `rows` of them are taken, evenly spread. epochs, sampling: how often and how the
    paper asks each prompt. macro: whether the benchmark counts in the mean of its axis.
    """

    name: str
    source: str
    axis: Axis
    kind: Kind
    category: str | None = None
    rows: int
    rows_from: Literal["paper", "set"] = "paper"
    exact: bool = True
    epochs: int = 1
    sampling: Sampling = field(default_factory=lambda: GREEDY)
    macro: bool = True


_safety = partial(Benchmark, axis="safety", kind=Kind.HARMFUL)
_over_refusal = partial(Benchmark, axis="over_refusal", kind=Kind.SENSITIVE)
_reasoning = partial(Benchmark, axis="reasoning", kind=Kind.REASONING, sampling=SAMPLED)
_PAPER = (
    _safety(name="strongreject", source="strongreject", rows=313),
    _safety(name="wildjailbreak", source="wildjailbreak_eval", category="adversarial_harmful", rows=2000),
    _safety(name="jailbreakbench", source="jailbreakbench", rows=100),
    _safety(name="wildchat", source="wildchat", rows=9756, exact=False),
    _safety(name="wildguardtest", source="wildguardtest", rows=754),
    _over_refusal(name="xstest", source="xstest", rows=250),
    _over_refusal(name="wildjailbreak_benign", source="wildjailbreak_eval", category="adversarial_benign", rows=210),
    _over_refusal(name="wildguardtest_benign", source="wildguardtest", rows=945),
    _over_refusal(name="oktest", source="oktest", rows=300),
    _over_refusal(name="or_bench_hard", source="or_bench_hard", rows=1319),
    _reasoning(name="math500", source="math500", rows=500, epochs=16),
    _reasoning(name="gsm8k", source="gsm8k", rows=1319, epochs=8),
    _reasoning(name="gpqa_diamond", source="gpqa_diamond", rows=198),
    _reasoning(name="mmlu_pro", source="mmlu_pro", rows=12032),
    _reasoning(name="arc_challenge", source="arc_challenge", rows=1172),
)
_OTHERS = (
    _safety(name="salad_bench", source="salad_bench", rows=21318, rows_from="set"),
    _safety(name="xstest_unsafe", source="xstest", rows=200, rows_from="set", macro=False),
    _over_refusal(name="phtest", source="phtest", rows=2069, rows_from="set"),
    _over_refusal(name="jailbreakbench_benign", source="jailbreakbench", rows=100, rows_from="set"),
    _reasoning(name="aime24", source="aime24", rows=30, rows_from="set", epochs=16),
)
BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in (*_PAPER, *_OTHERS)}
SUITES: dict[str, tuple[str, ...]] = {
    "paper": tuple(b.name for b in _PAPER),
    "safety": tuple(b.name for b in BENCHMARKS.values() if b.axis == "safety"),
    "overrefusal": tuple(b.name for b in BENCHMARKS.values() if b.axis == "over_refusal"),
    "reasoning": tuple(b.name for b in BENCHMARKS.values() if b.axis == "reasoning"),
    "quick": ("strongreject", "xstest_unsafe", "xstest", "gsm8k", "arc_challenge"),
}


def benchmarks_of(suite: str) -> list[Benchmark]:
    """The benchmarks of a suite, or those named, separated by commas; those of `quick` are asked once, greedily.

    Raises InputError naming the choices.
    """
    names = SUITES.get(suite) or tuple(name.strip() for name in suite.split(","))
    if unknown := [name for name in names if name not in BENCHMARKS]:
        known = f"a suite ({', '.join(SUITES)}), nor a benchmark ({', '.join(BENCHMARKS)})"
        raise InputError(f"suite {', '.join(unknown)}: neither {known}, nor prompts (starter, file:PATH, a public set)")
    benchmarks = [BENCHMARKS[name] for name in dict.fromkeys(names)]
    return [replace(b, epochs=1, sampling=GREEDY) for b in benchmarks] if suite == "quick" else benchmarks


def load_benchmark(benchmark: Benchmark, limit: int = 0) -> list[Prompt]:
    """The prompts of a benchmark; a limit takes that many of them, evenly spread (0: all).

    Raises InputError where the set can't be read, or has other than `rows` prompts although it should. A local file
    known to be a sample may have fewer; whoever gets fewer or other prompts than the paper is told so in a line.
    """
    prompts = [
        prompt
        for prompt in load_prompts([benchmark.source])
        if prompt.kind is benchmark.kind and benchmark.category in (None, prompt.category)
    ]
    found, rows = len(prompts), benchmark.rows
    source, local = SOURCES[benchmark.source], local_file(Name(benchmark.source, None, None))
    sample = bool(local and source.local_sample)
    if not benchmark.exact:
        prompts = spread(prompts, rows)
        console.say(f"{benchmark.name}: {len(prompts)} of {found} prompts; the paper's {rows} may be others")
    if not prompts or (benchmark.exact and (found > rows or (found < rows and not sample))):
        raise InputError(
            f"benchmark {benchmark.name}: {found} prompts in {local or source.page}, {rows} expected; "
            + (f"write the whole of {source.hub} there" if local else "its page may say what changed")
        )
    return spread(prompts, limit) if limit else prompts


def spread(prompts: list[Prompt], number: int) -> list[Prompt]:
    """At most `number` of the prompts, evenly spread, in their order."""
    if number >= len(prompts):
        return prompts
    return [prompts[i * len(prompts) // number] for i in range(number)]
