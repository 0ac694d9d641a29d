"""A class of the user's own: named by its import path in a configuration, and trained with like any other."""

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pydantic import Field
from trainers import Make, assert_credit

from ascl.errors import InputError
from ascl.run.config import RlArm, RunConfig, load_config
from ascl.train.advantages import BaseAlgorithm, Grpo, algorithm_of

PATH = "test_own_algorithm:Signs"


class Signs(BaseAlgorithm):
    """One step up for a reward above the group's mean, one down below it; a price on consulting for no harm."""

    needs = frozenset({"harmful", "decision_tokens"})

    type: Literal["test_own_algorithm:Signs"] = "test_own_algorithm:Signs"
    price: float = Field(default=0.5, ge=0)

    def advantages(self, rewards: Any, consulted: Any, harmful: Any, progress: float) -> Any:
        content = torch.sign(rewards - rewards.nanmean(dim=1, keepdim=True)).nan_to_num(nan=0.0)
        return content - self.price * (consulted & ~harmful), content


def test_a_configuration_names_it_by_its_import_path(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    arms = f"grpo: {{method: rl, algorithm: grpo}}, signs: {{method: rl, algorithm: {{type: '{PATH}', price: 0.25}}}}"
    path.write_text(f"model: embedded\narms: {{{arms}}}\n", encoding="utf-8")
    config = load_config(path)
    found = [arm.algorithm for arm in config.arms.values() if isinstance(arm, RlArm)]
    assert found == [Grpo(), Signs(price=0.25)]
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config  # as a run's folder keeps it
    assert algorithm_of(PATH) == Signs()
    with pytest.raises(InputError, match="price: Input should be greater than or equal to 0"):
        algorithm_of({"type": PATH, "price": -1})
    with pytest.raises(InputError, match=f"{PATH}s: can't be imported"):
        algorithm_of(f"{PATH}s")


def test_the_trainer_takes_its_advantages(make: Make, tmp_path: Path) -> None:
    assert {row["weight"] for row in assert_credit(make, tmp_path / "log", algorithm_of(PATH))} == {1.0}
