"""The shipped configurations for GPUs: the paper's recipe, and the memory that their comments state."""

import re
from pathlib import Path
from typing import Any

import pytest
from transformers import Qwen3Config
from typer.testing import CliRunner

from ascl.cli.main import app
from ascl.run.arms import RlArm, SftArm
from ascl.run.config import find_config, load_config
from ascl.train.costs import model_shape
from ascl.train.plan import Lengths, plan_memory
from ascl.train.rl import grpo_config

SIZES = {  # of the models' config.json
    "qwen3_4b": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32},
    "qwen3_0.6b": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16},
}
SHARED = {"vocab_size": 151936, "head_dim": 128, "num_key_value_heads": 8, "tie_word_embeddings": True}
LENGTHS = Lengths(prompt=1024, tool=512)
PLAN = re.compile(
    r"# +ascl plan (?P<name>\S+)(?: --processes (?P<n>\d+) (?P<split>--sharded))?"
    r" --device-gib (?P<gib>\d+) +(?P<total>\d+) GiB"
)


@pytest.mark.parametrize("name", SIZES)
def test_the_comments_state_the_memory_that_the_formula_gives(name: str) -> None:
    config, text = load_config(find_config(name)), find_config(name).read_text(encoding="utf-8")
    shape = model_shape(name, Qwen3Config(**SIZES[name], **SHARED))
    stated = [found.groupdict() for found in PLAN.finditer(text)]
    assert {(one["name"], one["n"]) for one in stated} == {(name, "8"), (name, None)}
    for one in stated:
        processes, gib = int(one["n"] or 1), float(one["gib"])
        settings = config.rl_settings(config.arms["ifpo"])  # type: ignore[arg-type]
        memory = plan_memory(shape, settings, LENGTHS, config.lora, "bfloat16", processes, bool(one["split"]), gib)
        assert int(one["total"]) == round(memory.total) and memory.total + 2 < gib


@pytest.mark.parametrize("name", SIZES)
def test_the_settings_are_the_papers(name: str, tmp_path: Path) -> None:
    """arXiv 2602.13562, behaviour cloning and RL; the smaller one has smaller batches of fewer rows to clone."""
    config = load_config(find_config(name))
    assert config.lora is None
    assert {type(arm) for arm in config.arms.values()} == {SftArm, RlArm}
    sft = config.sft
    assert (sft.learning_rate, sft.epochs, sft.warmup, sft.max_length) == (1e-5, 3, 0.05, 4096)
    assert sft.batch_size == (128 if name == "qwen3_4b" else 8)
    assert config.rl.prompts_per_step * config.rl.max_steps == pytest.approx(2 * 3423, abs=16)
    assert config.rl.harmful_share == pytest.approx(923 / 3423, abs=0.005)
    trl = grpo_config(config.rl, tmp_path, 0, "float32")
    said: dict[str, Any] = {
        "learning_rate": 1e-6, "num_generations": 8, "beta": 0.0, "loss_type": "dapo", "max_completion_length": 8192,
        "lr_scheduler_type": "cosine", "warmup_steps": 0.1, "temperature": 1.0, "vllm_mode": "colocate",
        "vllm_importance_sampling_mode": "token_truncate",
    }  # fmt: skip
    assert {key: getattr(trl, key) for key in said} == said


@pytest.mark.parametrize("name", SIZES)
def test_a_check_of_them_goes_through_with_a_model_and_prompts_that_are_here(
    name: str, tiny_model: Path, tmp_path: Path
) -> None:
    text = find_config(name).read_text(encoding="utf-8")
    for field, value in (("model", tiny_model), ("prompts", "[starter]"), ("  suite", "starter")):
        text, times = re.subn(rf"(?m)^{field}: .*$", f"{field}: {value}", text)
        assert times == 1
    (tmp_path / "here.yaml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["config", "check", str(tmp_path / "here.yaml")])
    assert result.exit_code == 0, result.output
    assert "ifpo: rl by ifpo, 428 steps of 128 rollouts (8 of each prompt)" in result.output
