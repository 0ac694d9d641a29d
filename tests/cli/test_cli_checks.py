"""What `ascl run`, `eval`, `rl` and `sft` say before their first stage: one line for what is missing, or the stages."""

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ascl.data.load import load_prompts
from ascl.data.prompt import Kind
from ascl.files import write_jsonl

Ascl = Callable[..., tuple[int, str]]
Complaint = Callable[..., str]
Configure = Callable[..., None]
NOBODY = "http://127.0.0.1:9/v1"  # the discard port: nothing listens there
ARMS = {"bc": {"method": "sft"}, "ifpo": {"from": "bc", "method": "rl", "algorithm": "ifpo"}}


@pytest.fixture
def configure(folder: Path, tiny_model: Path) -> Configure:
    """Writes x.yaml for the tiny model and two arms, with the given settings."""

    def write(**settings: Any) -> None:
        (folder / "x.yaml").write_text(
            yaml.safe_dump({"model": str(tiny_model), "arms": ARMS} | settings), encoding="utf-8"
        )

    return write


MISSING = [
    pytest.param(
        {"judge": {"kind": "wildguard", "model": "g", "base_url": NOBODY}}, f"judge g at {NOBODY}: ", id="judge"
    ),
    pytest.param(
        {"arms": {"bc": {"method": "sft", "data": {"model": "t", "base_url": NOBODY}}}},
        f"arms.bc.data.model t at {NOBODY}: ",
        id="teacher",
    ),
    pytest.param(
        {"judge": {"kind": "wildguard", "model": "./nowhere"}}, "model ./nowhere: no such folder", id="judge's folder"
    ),
    pytest.param(
        {"prompts": ["file:harmful.jsonl"]}, "rl.kinds: there is no train prompt of kind sensitive", id="kind"
    ),
    pytest.param(
        {"arms": {"bc": {"method": "sft", "settings": {"report_to": "wandb"}}}},
        "sft.report_to: the package wandb is not installed",
        id="report of SFT",
    ),
    pytest.param(
        {"rl": {"report_to": "wandb"}},
        "rl.report_to: the package wandb is not installed",
        id="report of RL",
    ),
    pytest.param({"rl": {"vllm": "colocate"}}, "rl.vllm: the package vllm is not installed", id="vllm"),
    pytest.param(
        {"arms": {"bc": {"method": "sft", "data": {"rows": ["./none.jsonl"]}}}}, "none.jsonl: no such file", id="rows"
    ),
    pytest.param({"arms": {"bc": {"method": "sft", "data": {"recipe": "best"}}}}, "recipe best: ", id="recipe"),
    pytest.param({"evaluate": {"suite": "all"}}, "suite all: neither a suite (paper", id="suite"),
    pytest.param(
        {"evaluate": {"judges": [f"qwen3guard:g@{NOBODY}"]}}, f"judge g at {NOBODY}: ", id="judge of the figures"
    ),
]


@pytest.mark.parametrize(("settings", "expected"), MISSING)
def test_a_run_names_what_is_missing_and_writes_nothing(
    complaint: Complaint, configure: Configure, folder: Path, settings: dict[str, Any], expected: str
) -> None:
    harmful = [p.model_dump(mode="json") for p in load_prompts(["starter"]) if p.kind is Kind.HARMFUL]
    write_jsonl(folder / "harmful.jsonl", harmful)
    configure(**settings)
    assert complaint("run", "x.yaml", "--out", "out").startswith(expected)
    assert complaint("run", "x.yaml", "--out", "out", "--check").startswith(expected)
    assert not (folder / "out").exists()


def test_little_disk_space_is_one_line(
    complaint: Complaint, configure: Configure, folder: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(1_000_000))
    configure()
    line = complaint("run", "x.yaml", "--out", "out")
    assert line.startswith("out: what is left of this run (2 models) needs ")
    assert line.endswith(" MB of disk space, 1 MB are free; make room, or name another --out")
    assert complaint("rl", "x.yaml", "--out", "arm").startswith("arm: the training needs ")
    (folder / "sft.jsonl").write_text(json.dumps({"messages": [{"role": "user", "content": "Hi"}, ANSWER]}) + "\n")
    sft = ["sft", "--model", str(tiny_model), "--data", "sft.jsonl", "--out", "tuned"]
    assert complaint(*sft).startswith("tuned: the training needs ")


ANSWER = {"role": "assistant", "content": "Hello."}


def test_check_prints_the_stages_to_do_and_writes_nothing(ascl: Ascl, configure: Configure, folder: Path) -> None:
    configure(evaluate={"variants": ["pure", "ascl"], "greedy": True}, seeds=[0, 1])
    untrained = ["eval pure-0", "eval ascl_zs-0"]  # greedy answers are the same with every seed

    def arms(seed: int) -> list[str]:
        return [f"data bc-{seed}", f"bc-{seed}", f"eval bc-{seed}", f"ifpo-{seed}", f"eval ifpo-{seed}"]

    for options, expected in (
        ([], untrained + arms(0) + arms(1)),
        (["--fresh", "--seeds", "0"], untrained + arms(0)),
        (["--smoke"], untrained + arms(0)),
    ):
        code, printed = ascl("run", "x.yaml", "--out", "out", "--check", *options)
        assert code == 0
        assert [line.rsplit("to do", 1)[0].strip() for line in printed.splitlines()] == expected
    assert not (folder / "out").exists()


def test_fresh_and_check_leave_the_earlier_run(ascl: Ascl, configure: Configure, folder: Path) -> None:
    configure()
    (folder / "out").mkdir()
    (folder / "out" / "config.yaml").write_text("seeds: [9]\n", encoding="utf-8")
    code, _ = ascl("run", "x.yaml", "--out", "out", "--check", "--fresh")
    assert code == 0
    assert [str(p.relative_to(folder)) for p in folder.rglob("*")] == ["x.yaml", "out", "out/config.yaml"]


def test_rl_and_sft_check_before_they_train(
    ascl: Ascl, complaint: Complaint, configure: Configure, folder: Path, tiny_model: Path
) -> None:
    configure()
    code, printed = ascl("rl", "x.yaml", "--out", "arm", "--check")
    assert (code, printed.startswith("to do: rl by ifpo, ")) == (0, True)
    configure(judge={"kind": "wildguard", "model": "g", "base_url": NOBODY})
    assert complaint("rl", "x.yaml", "--out", "arm").startswith(f"judge g at {NOBODY}: ")
    configure(rl={"kinds": ["plain"]}, prompts=["file:none.jsonl"])
    (folder / "none.jsonl").write_text('{"id": "a", "kind": "harmful", "prompt": "x", "split": "train"}\n')
    assert complaint("rl", "x.yaml", "--out", "arm").startswith("rl.kinds: there is no train prompt of kind plain")
    (folder / "sft.jsonl").write_text(json.dumps({"messages": [{"role": "user", "content": "Hi"}, ANSWER]}) + "\n")
    sft = ["sft", "--model", str(tiny_model), "--data", "sft.jsonl"]
    assert ascl(*sft, "--out", "tuned", "--check") == (0, "to do: sft, 1 rows\n")
    assert complaint(*sft, "--out", "x.yaml/tuned") == "x.yaml/tuned: Not a directory"
    assert sorted(p.name for p in folder.iterdir()) == ["none.jsonl", "sft.jsonl", "x.yaml"]


@pytest.fixture
def sums(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A made-up GSM8K, and the options that ask three of its sums."""
    rows = [{"id": i, "question": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(1319)]
    write_jsonl(folder / "sets" / "gsm8k" / "test.jsonl", rows)
    monkeypatch.setenv("ASCL_BENCH_DIR", str(folder / "sets"))
    return ["--suite", "gsm8k", "--limit", "3", "--greedy", "--max-tokens", "4", "--out", "e"]


def test_an_evaluation_looks_at_the_folders_of_all_variants_first(
    complaint: Complaint, folder: Path, tiny_model: Path, sums: list[str]
) -> None:
    asked = ["eval", "--model", str(tiny_model), *sums, "--judge", "offline", "--variant", "pure,short"]
    (folder / "e" / "short").mkdir(parents=True)
    (folder / "e" / "short" / "notes.txt").touch()
    assert complaint(*asked) == "e/short: is not empty and holds no evaluation; name another --out"
    assert [p.name for p in (folder / "e").iterdir()] == ["short"]
    (folder / "e" / "short" / "notes.txt").unlink()
    (folder / "e" / "short").rmdir()
    (folder / "e" / "short").touch()
    assert complaint(*asked) == "e/short: File exists"
    assert [p.name for p in (folder / "e").iterdir()] == ["short"]


def test_an_evaluation_looks_for_model_and_judges_first(
    complaint: Complaint, folder: Path, tiny_model: Path, sums: list[str]
) -> None:
    known = ["eval", "--model", str(tiny_model), *sums]
    assert complaint(*known, "--judge", f"wildguard:g@{NOBODY}").startswith(f"judge g at {NOBODY}: ")
    assert complaint(*known, "--judge", "wildguard:./nowhere") == "model ./nowhere: no such folder"
    twice = ["--judge", "offline", "--judge", "offline"]
    assert complaint(*known, *twice).startswith("two judges are called offline")
    served = ["eval", "--model", "m", "--base-url", NOBODY, *sums, "--judge", "offline"]
    assert complaint(*served).startswith(f"model m at {NOBODY}: ")
    assert complaint("eval", "--model", "./nowhere", *sums, "--judge", "offline") == "model ./nowhere: no such folder"
    assert complaint("eval", "rejudge", "e", "--judge", f"wildguard:g@{NOBODY}").startswith(f"judge g at {NOBODY}: ")
    assert not (folder / "e").exists()


def test_a_check_of_an_evaluation_counts_what_is_to_do(
    ascl: Ascl, folder: Path, tiny_model: Path, sums: list[str]
) -> None:
    asked = ["eval", "--model", str(tiny_model), *sums, "--judge", "offline", "--variant", "pure,ascl", "--check"]
    code, printed = ascl(*asked)
    assert code == 0
    assert printed.splitlines() == [
        "pure    gsm8k                   to do: 3 answers, 3 verdicts",
        "ascl    gsm8k                   to do: 3 answers, 3 verdicts",
    ]
    assert not (folder / "e").exists()
