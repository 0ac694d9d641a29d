"""`ascl rl`: what a user gets from a configuration, and one line for what is wrong with it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.data.load import load_prompts
from ascl.data.prompt import split_of
from ascl.files import read_finished


@pytest.fixture
def config(folder: Path, tiny_model: Path) -> Path:
    """Two train prompts of each kind in RL, one step of two groups of two."""
    starter = load_prompts(["starter"])
    with (folder / "prompts.jsonl").open("w") as file:
        for kind in ("harmful", "sensitive"):
            chosen = [p for p in starter if p.kind == kind and split_of(p) == "train"][:2]
            file.writelines(prompt.model_dump_json() + "\n" for prompt in chosen)
    settings = {
        "model": str(tiny_model),
        "dtype": "float32",
        "prompts": ["file:prompts.jsonl"],
        "rl": {"group_size": 2, "prompts_per_step": 2, "micro_batch_size": 2, "max_steps": 1, "max_tokens": 3},
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_it_trains_logs_every_rollout_and_scores_them_again(config: Path, ascl: Callable[..., tuple[int, str]]) -> None:
    trained = CliRunner().invoke(app, ["rl", str(config), "--algorithm", "decoupled", "--out", "runs/arm"])
    assert trained.exit_code == 0, trained.output
    assert Path("runs/arm/model.safetensors").exists()
    rollouts = read_finished(Path("runs/arm/rollouts.jsonl"))
    assert len(rollouts) == 4
    assert "decoupled" in Path("runs/arm/README.md").read_text()
    code, text = ascl("score", "runs/arm/rollouts.jsonl", "--config", str(config), "--json")
    assert code == 0
    scored = [json.loads(line) for line in text.splitlines()]
    assert [row["reward"] for row in scored[:-1]] == [row["reward"] for row in rollouts]
    assert scored[-1]["unjudged"] == 0


def test_cloned_prompts_are_left_out(config: Path) -> None:
    rows = [json.loads(line) for line in Path("prompts.jsonl").read_text().splitlines()]
    rows[0]["id"] += "#0"  # a name like any other
    Path("prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    split = [{"id": f"{row['id']}#1", "prompt_id": row["id"]} for row in rows[:2]] + [{"id": rows[2]["id"]}]
    said = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "."}]}
    Path("sft.jsonl").write_text("".join(json.dumps(row | said) + "\n" for row in split))
    trained = CliRunner().invoke(app, ["rl", str(config), "--out", "runs/arm", "--without", "sft.jsonl"])
    assert trained.exit_code == 0, trained.output
    assert {row["prompt"]["id"] for row in read_finished(Path("runs/arm/rollouts.jsonl"))} == {rows[3]["id"]}


def test_what_is_wrong_is_one_line(config: Path, complaint: Callable[..., str]) -> None:
    assert complaint("rl", str(config), "--algorithm", "ppo").startswith("--algorithm ppo: use one of grpo, ifpo")
    assert "no such folder" in complaint("rl", str(config), "--model", "./nowhere")
    Path("there").mkdir()
    assert complaint("rl", str(config), "--out", "there") == "--out there: exists already; name another, or remove it"
    assert "absent.jsonl" in complaint("score", "absent.jsonl", "--config", str(config))
    assert "absent.jsonl" in complaint("rl", str(config), "--without", "absent.jsonl")
    config.write_text("model: embedded\njudge: qwen3guard\n")
    assert "judge: qwen3guard: kind qwen3guard needs a `model`" in complaint("rl", str(config))
