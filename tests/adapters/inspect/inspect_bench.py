"""Small data sets in the form that ASCL_BENCH_DIR has, and Inspect run on them without a screen."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task
from inspect_ai import eval as run_tasks
from inspect_ai.log import EvalLog, EvalSample

import ascl.adapters.inspect.registry  # noqa: F401 (what Inspect does itself where the package is installed)

CHOICES = ["a rock", "a tree", "a fish"]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, and a key for the server."""
    monkeypatch.setenv("ASCL_BENCH_DIR", str(tmp_path / "bench"))
    monkeypatch.setenv("LAB_API_KEY", "none")
    return tmp_path / "bench"


def harmful(bench: Path, texts: Sequence[str]) -> None:
    """A sample of the benchmark salad_bench that holds these prompts."""
    write(
        bench / "salad_bench_sample" / "base_sample.jsonl",
        [{"qid": i, "prompt": text, "category_2": "O1"} for i, text in enumerate(texts)],
    )


def choices(bench: Path, texts: Sequence[str]) -> None:
    """A sample of the benchmark mmlu_pro that holds these questions; the answer is always B."""
    rows = [
        {"id": f"bio/{i}", "question": text, "options": CHOICES, "answer": "B", "category": "biology"}
        for i, text in enumerate(texts)
    ]
    write(bench / "mmlu_pro" / "sample_20_per_category.jsonl", rows)


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def run(task: Task, base_url: str, log_dir: Path, **options: Any) -> EvalLog:
    """The log of a task, answered by a server on this machine."""
    [log] = run_tasks(
        task, model="openai-api/lab/m", model_base_url=base_url, log_dir=str(log_dir), display="none", **options
    )
    assert log.status == "success", log.error and log.error.message
    return log


def samples(log: EvalLog) -> list[EvalSample]:
    assert log.samples is not None
    return sorted(log.samples, key=lambda sample: (str(sample.id), sample.epoch))


def values(sample: EvalSample, scorer: str = "verdict") -> dict[str, float]:
    """The values of a sample's score that apply to it."""
    assert sample.scores is not None
    value = sample.scores[scorer].value
    assert isinstance(value, dict)
    return {name: float(number) for name, number in value.items() if number == number and number is not None}
