"""Settings that make no sense are refused with words that say what to mend."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ascl.train.advantages import TYPES, AdaptThink, Ifpo
from ascl.train.reward import RewardWeights
from ascl.train.settings import Lora, RlSettings, SftSettings


def test_the_defaults_are_the_papers() -> None:
    sft, rl, reward = SftSettings(), RlSettings(), RewardWeights()
    assert (sft.learning_rate, sft.batch_size, sft.max_length, sft.warmup, sft.epochs) == (1e-5, 128, 4096, 0.05, 3)
    assert (Ifpo().tau, rl.group_size, rl.prompts_per_step) == (0.5, 8, 16)
    assert (rl.learning_rate, rl.warmup, rl.epochs) == (1e-6, 0.1, 2)
    assert (reward.safe_harmful, reward.safe_sensitive, reward.complied, reward.fault) == (1.5, 0.5, 1.0, 0.4)


@pytest.mark.parametrize(
    ("settings", "fields", "message"),
    [
        (Ifpo, {"w_min": 2.0, "w_max": 1.0}, "w_min must not exceed w_max"),
        (RlSettings, {"group_size": 3, "prompts_per_step": 3}, "must divide prompts_per_step"),
        (RlSettings, {"group_size": 1}, "group_size"), (Ifpo, {"tau": -0.5}, "tau"),
        (Ifpo, {"tau": float("inf")}, "tau"), (Ifpo, {"tau": float("nan")}, "tau"), (Ifpo, {"w_min": 0}, "w_min"),
        (AdaptThink, {"candidates": 1}, "candidates"), (AdaptThink, {"exploration": "all"}, "exploration"),
        (AdaptThink, {"tau": 1}, "tau"), *[(cls, {"eps": 0}, "eps") for cls in TYPES.values()],
        (RlSettings, {"learning_rate": 0}, "learning_rate"),
        (RlSettings, {"learning_rate": float("inf")}, "learning_rate"), (RlSettings, {"temperature": 0}, "temperature"),
        (RlSettings, {"epochs": float("inf")}, "epochs"), (RlSettings, {"max_steps": -1}, "max_steps"),
        (RlSettings, {"max_tokens": 0}, "max_tokens"), (RlSettings, {"warmup": 1.0}, "warmup"),
        (RlSettings, {"betas": 1}, "betas"),
        (SftSettings, {"batch_size": 12, "micro_batch_size": 8}, "micro_batch_size must divide batch_size"),
        (SftSettings, {"form": "both"}, "'native' or 'split'"), (SftSettings, {"epochs": 0}, "epochs"),
        (SftSettings, {"epochs": float("inf")}, "epochs"), (SftSettings, {"warmup": 1.0}, "warmup"),
        (SftSettings, {"max_length": 2}, "max_length"), (SftSettings, {"lr": 1e-4}, "lr"), (Lora, {"r": 0}, "r"),
        (Lora, {"dropout": 1.0}, "dropout"), (RewardWeights, {"fault": -0.4}, "fault"),
        (RewardWeights, {"complied": float("nan")}, "complied"),
    ],
)  # fmt: skip
def test_senseless_settings_are_refused(settings: type[BaseModel], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**fields)
    first = refused.value.errors()[0]
    assert message in first["msg"] or message in map(str, first["loc"])


def test_batches_are_cut_into_whole_micro_batches() -> None:
    assert SftSettings(batch_size=4).micro_batch_size == 8, "a small batch needs no smaller micro-batch"
    assert RlSettings(group_size=6, prompts_per_step=2, micro_batch_size=4).micro_batch_size == 4
