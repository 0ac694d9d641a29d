"""What is looked at before the first stage of a run: kinds of prompts, disk space, and which servers it will ask."""

from pathlib import Path
from typing import Any

import pytest

from ascl.data.load import load_prompts
from ascl.data.prompt import Kind
from ascl.errors import InputError
from ascl.preflight import model_config
from ascl.run.arms import check_kinds
from ascl.run.checks import model_size, servers_of, training_space
from ascl.run.config import RunConfig
from ascl.train.costs import parameters_of
from ascl.train.settings import Lora


def test_every_kind_of_rl_needs_a_train_prompt() -> None:
    prompts = [p for p in load_prompts(["starter"]) if p.kind in (Kind.HARMFUL, Kind.PLAIN)]
    check_kinds(prompts, [Kind.HARMFUL, Kind.PLAIN])
    with pytest.raises(InputError, match=r"rl.kinds: there is no train prompt of kind sensitive or reasoning; add"):
        check_kinds(prompts, list(Kind))


def test_space_is_models_and_checkpoints_less_what_is_there(tiny_model: Path, tmp_path: Path) -> None:
    parameters, trained = parameters_of(model_config(str(tiny_model)), None)
    assert parameters == trained
    outs = [tmp_path / "bc", tmp_path / "ifpo"]
    full = training_space(str(tiny_model), "bfloat16", None, outs)
    assert full == 2 * 2 * parameters + 36 * parameters
    (tmp_path / "bc.trainer").mkdir()
    (tmp_path / "bc.trainer" / "weights").write_bytes(bytes(1000))
    assert training_space(str(tiny_model), "bfloat16", None, outs) == full - 1000
    adapters = training_space(str(tiny_model), "bfloat16", Lora(r=2), outs[1:])
    layers = 2 * (16 + 16 + 2 * (16 + 8) + 16 + 16 + 3 * (16 + 32))
    assert adapters == (4 + 36) * 2 * layers
    assert training_space(str(tiny_model), "bfloat16", None, []) == 0
    assert model_size(str(tiny_model), "float32") == 4 * parameters


def test_a_run_asks_the_servers_of_what_is_left() -> None:
    def arm(method: str, **more: Any) -> dict[str, Any]:
        return {"method": method} | more

    def judge(name: str) -> dict[str, str]:
        return {"kind": "wildguard", "model": name, "base_url": f"http://{name}/v1"}

    purified = {"purifier": "p", "purifier_base_url": "http://purifier/v1"}
    located = {"locator": "l", "locator_base_url": "http://locator/v1"}
    taught = {"model": "t", "base_url": "http://teacher/v1", "parameters": purified}
    config = RunConfig.model_validate(
        {
            "model": "m",
            "seeds": [0, 1],
            "judge": judge("reward"),
            "rl": {"vllm": "server", "vllm_server": "http://rollouts"},
            "arms": {
                "bc": arm("sft", data=taught),
                "own": arm("sft", data=taught | {"rows": ["rows.jsonl"]}),
                "pairs": arm("preference", data={"recipe": "ipo", "parameters": located}),
                "ifpo": arm("rl", algorithm="ifpo", **{"from": "bc"}),
                "va": arm("edit"),
            },
            "evaluate": {"judges": ["offline", judge("report")]},
        }
    )

    def asked(*done: str) -> list[str]:
        return [server.url.split("/")[2] for server in servers_of(config, done)]

    sampled = ["teacher", "purifier", "reward", "locator", "reward"]
    assert asked() == [*sampled, "reward", "rollouts", "reward", "report"]
    done, va = ("bc-0", "bc-1", "pairs-0", "pairs-1"), ("va-0", "va-1")
    assert asked(*done, "ifpo-0", *va) == ["reward", "rollouts", "report"], "a seed of ifpo is left"
    assert asked(*done, "ifpo-0", "ifpo-1", *va[:1]) == ["reward", "report"]
    assert asked(*done, "ifpo-0", "ifpo-1", *va) == ["report"]
    evaluated = [f"eval {name}-{seed}" for name in config.arms for seed in config.seeds]
    assert asked(*done, "ifpo-0", "ifpo-1", *va, *evaluated) == []
