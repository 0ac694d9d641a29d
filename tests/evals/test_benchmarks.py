"""The table of benchmarks, its suites, and which prompts a benchmark is."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ascl.data.load import SOURCES
from ascl.data.prompt import Kind
from ascl.errors import InputError
from ascl.evals.benchmarks import BENCHMARKS, GREEDY, SUITES, benchmarks_of, load_benchmark

PAPER = {  # arXiv 2602.13562
    "safety": {
        "strongreject": 313, "wildjailbreak": 2000, "jailbreakbench": 100, "wildchat": 9756, "wildguardtest": 754,
    },
    "over_refusal": {
        "xstest": 250, "wildjailbreak_benign": 210, "wildguardtest_benign": 945, "oktest": 300, "or_bench_hard": 1319,
    },
    "reasoning": {"math500": 500, "gsm8k": 1319, "gpqa_diamond": 198, "mmlu_pro": 12032, "arc_challenge": 1172},
}  # fmt: skip
WHOLE = (  # read whole, where the folder of public sets has them
    "strongreject",
    "jailbreakbench",
    "jailbreakbench_benign",
    "xstest",
    "xstest_unsafe",
    "or_bench_hard",
    "phtest",
    "math500",
    "gsm8k",
    "arc_challenge",
)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder as ASCL_BENCH_DIR, and no hub."""
    monkeypatch.setenv("ASCL_BENCH_DIR", str(tmp_path / "bench"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "bench"


def write(bench: Path, source: str, rows: list[dict[str, Any]]) -> Path:
    path = bench / SOURCES[source].local
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def xstest(safe: int, unsafe: int) -> list[dict[str, Any]]:
    labels = ["safe"] * safe + ["unsafe"] * unsafe
    return [{"id": i, "prompt": f"{label} {i}", "label": label, "type": "t"} for i, label in enumerate(labels)]


def test_the_table_is_whole() -> None:
    for name, benchmark in BENCHMARKS.items():
        assert benchmark.name == name
        assert benchmark.kind in SOURCES[benchmark.source].kinds
        assert (
            benchmark.kind
            is {"safety": Kind.HARMFUL, "over_refusal": Kind.SENSITIVE, "reasoning": Kind.REASONING}[benchmark.axis]
        )
        sampling = (benchmark.sampling.temperature, benchmark.sampling.top_p)
        assert sampling == ((0.6, 0.95) if benchmark.axis == "reasoning" else (0.0, 1.0))
    assert not BENCHMARKS["xstest_unsafe"].macro
    rows = [(b.source, b.kind, b.category) for b in BENCHMARKS.values()]
    assert len(set(rows)) == len(rows)


def test_suites_name_benchmarks() -> None:
    assert set(SUITES) == {"paper", "safety", "overrefusal", "reasoning", "quick"}
    for suite, names in SUITES.items():
        assert len(set(names)) == len(names)
        assert [benchmark.name for benchmark in benchmarks_of(suite)] == list(names)
    assert {b.axis for b in benchmarks_of("overrefusal")} == {"over_refusal"}
    assert set(SUITES["safety"]) | set(SUITES["overrefusal"]) | set(SUITES["reasoning"]) == set(BENCHMARKS)
    with pytest.raises(InputError, match=r"suite all: neither a suite \(paper, safety"):
        benchmarks_of("all")


def test_the_papers_suite_has_the_papers_counts() -> None:
    found: dict[str, dict[str, int]] = {axis: {} for axis in PAPER}
    for benchmark in benchmarks_of("paper"):
        found[benchmark.axis][benchmark.name] = benchmark.rows
        assert benchmark.rows_from == "paper"
        assert benchmark.macro
        assert benchmark.epochs == {"math500": 16, "gsm8k": 8}.get(benchmark.name, 1)
    assert found == PAPER


def test_the_page_of_sets_has_a_line_for_each_benchmark() -> None:
    page = (Path(__file__).parents[2] / "docs" / "benchmark_sets.md").read_text()
    for name, benchmark in BENCHMARKS.items():
        (line,) = (line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        source = SOURCES[benchmark.source]
        cells = [cell.strip() for cell in line.split("|")]
        assert f"{benchmark.rows:,}" in cells
        assert (source.revision[:8] if source.revision else "none") in cells
        assert ("yes" if source.gated else "no") in cells
        assert f"`{source.local}`" in line


def test_the_quick_suite_asks_once_and_greedily() -> None:
    assert all((b.epochs, b.sampling) == (1, GREEDY) for b in benchmarks_of("quick"))
    assert not any(SOURCES[b.source].local_sample for b in benchmarks_of("quick"))


TYPES = enumerate(["adversarial_harmful", "adversarial_benign", "vanilla_harmful", "adversarial_harmful"])
LABELS = enumerate(["harmful", None, "unharmful", "harmful"])


@pytest.mark.parametrize(
    ("source", "rows", "found"),
    [
        ("xstest", xstest(3, 2), {"xstest": ["safe 0", "safe 1", "safe 2"], "xstest_unsafe": ["unsafe 3", "unsafe 4"]}),
        (
            "wildjailbreak_eval",
            [{"adversarial": f"a{i}", "vanilla": f"v{i}", "data_type": name} for i, name in TYPES],
            {"wildjailbreak": ["a0", "a3"], "wildjailbreak_benign": ["a1"]},
        ),
        (
            "wildguardtest",
            [{"prompt": f"p{i}", "prompt_harm_label": label, "subcategory": "s"} for i, label in LABELS],
            {"wildguardtest": ["p0", "p3"], "wildguardtest_benign": ["p2"]},
        ),
    ],
)
def test_a_benchmark_is_the_rows_of_its_kind_and_category(
    bench: Path, source: str, rows: list[dict[str, Any]], found: dict[str, list[str]]
) -> None:
    write(bench, source, rows)
    for name, texts in found.items():
        prompts = load_benchmark(replace(BENCHMARKS[name], rows=len(texts)))
        assert [prompt.text for prompt in prompts] == texts
        assert source != "wildguardtest" or [p.id for p in prompts] == [f"wildguardtest-{text[1:]}" for text in texts]


@pytest.mark.parametrize("safe", [0, 249, 251])
def test_a_wrong_number_of_rows_is_an_error(bench: Path, safe: int) -> None:
    path = write(bench, "xstest", xstest(safe, unsafe=200))
    with pytest.raises(InputError, match="benchmark xstest: ") as caught:
        load_benchmark(BENCHMARKS["xstest"])
    message = str(caught.value)
    assert f"{safe} prompts in {path}, 250 expected" in message
    assert "\n" not in message
    assert len(load_benchmark(BENCHMARKS["xstest_unsafe"])) == 200


def test_a_known_sample_may_have_fewer_rows_and_is_called_one(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": f"q{i}", "question": "Q?", "options": ["x", "y"], "answer": "A", "category": "c"} for i in range(3)]
    write(bench, "mmlu_pro", rows)
    assert len(load_benchmark(BENCHMARKS["mmlu_pro"])) == 3
    assert capsys.readouterr().err == "mmlu_pro: the local file is a sample: 280 of 12,032 rows\n"
    with pytest.raises(InputError, match=r"3 prompts in .*, 2 expected"):
        load_benchmark(replace(BENCHMARKS["mmlu_pro"], rows=2))


def test_a_limit_is_evenly_spread(bench: Path) -> None:
    write(bench, "xstest", xstest(safe=10, unsafe=0))
    benchmark = replace(BENCHMARKS["xstest"], rows=10)
    assert [prompt.text for prompt in load_benchmark(benchmark, 4)] == ["safe 0", "safe 2", "safe 5", "safe 7"]
    assert load_benchmark(benchmark, 10) == load_benchmark(benchmark, 99) == load_benchmark(benchmark)


def test_where_the_papers_rows_are_unknown_its_number_is_taken(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chats = [
        {
            "conversation": [{"role": "user", "content": f"p{i}"}],
            "turn": 1,
            "language": "English",
            "openai_moderation": [{"flagged": i % 2 == 0}],
        }
        for i in range(12)
    ]
    write(bench, "wildchat", chats)
    wildchat = BENCHMARKS["wildchat"]
    assert [prompt.text for prompt in load_benchmark(replace(wildchat, rows=3))] == ["p0", "p4", "p8"]
    assert capsys.readouterr().err == "wildchat: 3 of 6 prompts; the paper's 3 may be others\n"
    assert len(load_benchmark(wildchat)) == 6
    assert capsys.readouterr().err == "wildchat: 6 of 6 prompts; the paper's 9756 may be others\n"
    assert len(load_benchmark(wildchat, 2)) == 2


def test_a_gated_set_that_is_nowhere_is_one_clear_error(bench: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_benchmark(BENCHMARKS["gpqa_diamond"])
    message = str(caught.value)
    assert "\n" not in message
    for part in ("https://huggingface.co/datasets/Idavidrein/gpqa", "hf auth login", "gpqa/diamond.jsonl"):
        assert part in message


@pytest.mark.bench
@pytest.mark.parametrize("name", WHOLE)
def test_whole_public_sets(name: str, bench_dir: Path) -> None:
    benchmark = BENCHMARKS[name]
    if not (bench_dir / SOURCES[benchmark.source].local).exists():
        pytest.skip(f"{benchmark.source} is absent")
    prompts = load_benchmark(benchmark)
    assert len(prompts) == benchmark.rows
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    assert {prompt.kind for prompt in prompts} == {benchmark.kind}
    assert len(load_benchmark(benchmark, 13)) == 13
