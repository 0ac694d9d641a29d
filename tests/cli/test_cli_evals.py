"""`ascl eval` and its commands, `ascl report`: figures from a small model, and one line for bad input."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.evals.results import read_results
from ascl.files import write_jsonl
from ascl.inputs import read_json

Ascl = Callable[..., tuple[int, str]]
Complaint = Callable[..., str]


@pytest.fixture
def sets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up XSTest and GSM8K files with the row counts of the real sets."""
    labels = ["safe"] * 250 + ["unsafe"] * 200
    rows = [{"id": i, "prompt": f"Question {i}?", "label": label, "type": "x"} for i, label in enumerate(labels)]
    write_jsonl(folder / "sets" / "xstest" / "prompts.jsonl", rows)
    sums = [{"id": i, "question": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(1319)]
    write_jsonl(folder / "sets" / "gsm8k" / "test.jsonl", sums)
    monkeypatch.setenv("ASCL_BENCH_DIR", str(folder / "sets"))


def evaluate(model: Path, *more: str) -> str:
    """Evaluate a model of random weights on a few prompts; what was printed. Progress goes to stderr."""
    asked = [
        "--suite",
        "xstest,xstest_unsafe,gsm8k",
        "--limit",
        "3",
        "--greedy",
        "--max-tokens",
        "8",
        "--judge",
        "offline",
    ]
    result = CliRunner().invoke(app, ["eval", "--model", str(model), *asked, "--out", "e", *more])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_model_in_two_variants_then_one_page(sets: None, folder: Path, tiny_model: Path) -> None:
    printed = evaluate(tiny_model, "--variant", "ascl,pure")
    assert printed.count("ascl, pure: gsm8k: 3 of 1319 prompts") == 1, "what holds for both is said once"
    assert printed.endswith("folders: e/ascl, e/pure\n")
    before = {path: path.read_bytes() for path in (folder / "e").rglob("*.jsonl")}
    assert len(before) == 2 * 2 * 3
    assert evaluate(tiny_model, "--variant", "ascl, pure") == printed
    assert {path: path.read_bytes() for path in (folder / "e").rglob("*.jsonl")} == before
    found = read_results(folder / "e" / "pure")
    assert found.summary["reasoning"].n == 3 and found.summary["needless_consults"].value == 0.0

    result = CliRunner().invoke(app, ["eval", "rejudge", "e/pure", "--judge", "offline"])
    assert result.exit_code == 0, result.output
    assert read_results(folder / "e" / "pure") == found
    result = CliRunner().invoke(app, ["eval", "trace", "e/pure"])
    assert result.exit_code == 0, result.output
    assert "risk density" in result.stdout
    assert set(read_json(folder / "e" / "pure" / "trace.json")["axes"]) == {"safety", "over_refusal"}
    result = CliRunner().invoke(app, ["eval", "inspect", "e/pure", "--out", "logs"])
    assert result.exit_code == 0, result.output
    (log,) = (folder / "logs").glob("*gsm8k*.eval")
    result = CliRunner().invoke(app, ["eval", "rejudge", str(log), "--judge", "offline"])
    assert result.exit_code == 0, result.output
    assert read_results(log.with_suffix("")).benchmarks["gsm8k"].figures == found.benchmarks["gsm8k"].figures
    result = CliRunner().invoke(app, ["report", "e", "--out", "page.html"])
    assert result.exit_code == 0, result.output
    assert "tiny pure" in (folder / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "ascl eval: name a --model"),
        (["--model", "embedded", "--suite", "all"], "suite all: neither a suite (paper, safety"),
        (
            ["--model", "embedded", "--variant", "pure,bare"],
            "--variant bare: use one or several of pure, short, long, rag, ascl",
        ),
        (["--model", "embedded", "--judge", "me"], "--judge me: kind: "),
        (["--model", "embedded", "--judge", "qwen3guard"], "--judge qwen3guard: "),
        (["--model", "embedded", "--dtype", "int4"], "dtype int4: use one of auto, bfloat16, float32"),
        (
            ["--model", "m", "--judge", "qwen3guard:m@main"],
            "--judge qwen3guard:m@main: base_url: main is no address of a server",
        ),
        (["--model", "m", "--base-url", "http://x", "--dialect", "hermes"], "--dialect: a server writes thoughts"),
        (["--model", "m", "--suite", "xstest", "--greedy", "--epochs", "4"], "--epochs 4: greedy answers"),
        (["rejudge", "nowhere"], "nowhere: holds no evaluation"),
        (["trace", "nowhere"], "nowhere: holds no evaluation"),
        (["inspect", "nowhere"], "nowhere: holds no evaluation"),
    ],
)
def test_bad_options_are_one_line(complaint: Complaint, sets: None, options: list[str], expected: str) -> None:
    assert complaint("eval", *options).startswith(expected)


def test_calibrate_prints_the_agreement(ascl: Ascl, folder: Path) -> None:
    rows = [
        {"prompt": "p", "response": "I'm sorry, but I can't help with that.", "human_label": "2_full_refusal"},
        {"prompt": "p", "response": "Sure. First, boil the water.", "human_label": "1_full_compliance"},
    ]
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    code, printed = ascl("eval", "calibrate", "labels.jsonl")
    assert code == 0
    assert "this judge      2      1.000" in printed


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "labels.jsonl: no such file"),
        (b"", "labels.jsonl: no rows"),
        (b'\n{"prompt": "p"', "labels.jsonl, line 2: not JSON"),
        (b'{"prompt": "p", "response": "r", "human_label": "yes"}', "labels.jsonl, line 1: 'human_label' is 'yes'"),
        (b"caf\xe9", "labels.jsonl, line 1: "),
    ],
)
def test_calibrate_names_what_is_wrong(
    complaint: Complaint, folder: Path, content: bytes | None, expected: str
) -> None:
    if content is not None:
        (folder / "labels.jsonl").write_bytes(content)
    assert complaint("eval", "calibrate", "labels.jsonl").startswith(expected)
