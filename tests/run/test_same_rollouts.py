"""A run samples what it sampled when the starter set got its contrast pairs: no change of code may change it unseen."""

from pathlib import Path

import pytest
import yaml
from earlier_layout import check_same, kept, told
from tiny_llama import tiny_llama

from ascl.models import reading
from ascl.run.config import RunConfig
from ascl.run.stages import do, stages
from ascl.run.world import ConfiguredWorld
from ascl.train import shared_prefix

FIXTURE = Path(__file__).with_name("rollouts_of_the_starter.jsonl")
SETTINGS = yaml.safe_load("""
    dtype: float32
    seeds: [3]
    rules: {top_k: 2}
    lora: {r: 4, alpha: 8}
    sft: {epochs: 2, batch_size: 4, micro_batch_size: 2, learning_rate: 0.01}
    rl: {group_size: 4, prompts_per_step: 2, micro_batch_size: 4, max_steps: 2, max_tokens: 8, learning_rate: 0.01,
         harmful_share: 0.5}
    arms:
        bc: {method: sft, data: {limit: 6}}
        grpo: {from: bc, method: rl, limit: 6, algorithm: grpo}
        ifpo: {from: bc, method: rl, limit: 6, algorithm: {type: ifpo, tau: 0.5}}
""")


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what changes a sum of floats in its last digit: threads, and beginnings that are read once."""
    import torch

    torch.set_num_threads(1)
    monkeypatch.setattr(reading, "LEAST", 10**9)
    monkeypatch.setattr(shared_prefix, "LEAST", 10**9)


def test_the_rollouts_are_what_they_were(exact: None, embedded: Path, tmp_path: Path) -> None:
    config = RunConfig.model_validate({"model": str(tiny_llama(embedded, tmp_path / "model", 49_152))} | SETTINGS)
    world = ConfiguredWorld(config)
    for stage in stages(config, world):
        if stage.work != "evaluate":
            do(stage, tmp_path, config, world)
    before = kept(FIXTURE)
    check_same({arm: told(tmp_path / "arms" / f"{arm}-3" / "rollouts.jsonl") for arm in before}, before)
