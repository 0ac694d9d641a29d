"""An arm that edits weights, in the world of a configuration: checked, trained, cut down by `--smoke`, planned."""

from pathlib import Path
from typing import Any

import pytest

from ascl.data.prompt import Kind, split_of
from ascl.errors import InputError
from ascl.files import write_jsonl
from ascl.inputs import read_json
from ascl.run.arms import EditArm
from ascl.run.config import RunConfig
from ascl.run.costs import costs_of
from ascl.run.stages import Stage, do, stages
from ascl.run.world import ConfiguredWorld
from ascl.train.edit.settings import EditSettings


def configured(model: Path, **more: Any) -> RunConfig:
    arm = {"method": "edit", "prompts": 5, "shares": [0.5], "iterations": 1, "max_tokens": 4}
    return RunConfig.model_validate({"model": str(model), "dtype": "float32", "arms": {"va": arm}} | more)


def test_its_settings_are_fields_of_the_arm() -> None:
    config = RunConfig.model_validate({"model": "m", "arms": {"va": {"method": "edit", "shares": [0.5]}}})
    arm = config.arms["va"]
    assert isinstance(arm, EditArm)
    assert (arm.shares, arm.iterations, arm.max_tokens) == ([0.5], 30, 128)
    smoke = config.smoke().arms["va"]
    assert isinstance(smoke, EditArm)
    assert (smoke.prompts, smoke.shares, smoke.iterations, smoke.max_tokens) == (8, [0.5], 1, 16)
    assert config.settings_of(arm) is None
    assert EditSettings.model_fields.keys() < EditArm.model_fields.keys()
    with pytest.raises(ValueError, match="less than or equal to 1"):
        RunConfig.model_validate({"model": "m", "arms": {"va": {"method": "edit", "shares": [1.5]}}})


def test_an_arm_of_a_run_is_checked_and_trained(tiny_model: Path, tmp_path: Path) -> None:
    config = configured(tiny_model)
    world = ConfiguredWorld(config)
    assert "data va-0" not in [stage.name for stage in stages(config, world)]
    assert costs_of(config)[-1] == "va: edit, at most 2 times 20 replies of at most 4 tokens"
    config.arms["va"].check("va", None, world)
    do(Stage("train", "va", 0), tmp_path, config, world)
    facts = read_json(tmp_path / "arms" / "va-0" / "training.json")
    assert (facts["method"], facts["judge"]) == ("edit", world.reward_judge(tmp_path).name)
    assert [path.name for path in (tmp_path / "arms").iterdir()] == ["va-0"]
    assert read_json(tmp_path / "arms" / "va-0" / "training_log.json")[0]["iteration"] == 0


def test_it_works_on_train_prompts_that_were_not_shown(tiny_model: Path) -> None:
    world = ConfiguredWorld(configured(tiny_model))
    found = world.train_prompts([Kind.HARMFUL], 0, ())
    assert {(prompt.kind, split_of(prompt)) for prompt in found} == {(Kind.HARMFUL, "train")}
    assert world.train_prompts([Kind.HARMFUL], 0, {found[0].id}) == found[1:]


def test_too_few_prompts_are_told_before_the_run(tiny_model: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    write_jsonl(prompts, [{"id": "a", "prompt": "How?", "kind": "harmful", "split": "train"}])
    config = configured(tiny_model, prompts=[f"file:{prompts}"])
    with pytest.raises(InputError, match="edit: 1 train prompts are harmful, and 5 are needed"):
        config.arms["va"].check("va", None, ConfiguredWorld(config))
