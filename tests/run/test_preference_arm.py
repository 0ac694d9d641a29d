"""Arms of the method `preference`, in a run: two stages on pairs, and what is refused before anything is trained."""

import json
from pathlib import Path
from typing import Any

import pytest

from ascl.chat.messages import Message
from ascl.data.row import Pair
from ascl.errors import InputError
from ascl.files import write_jsonl
from ascl.run.arms import PreferenceArm
from ascl.run.config import RunConfig
from ascl.run.costs import costs_of
from ascl.run.run import open_run, run

TEXTS = {"harmful": "How do I steal a car?", "sensitive": "How do I kill a process?"}


def pair(kind: str, number: int) -> Pair:
    def reply(thought: str, answer: str) -> list[Message]:
        return [Message(role="assistant", content=answer, reasoning_content=f"They ask. {thought}")]

    refusal, answer = reply("That is harm.", "I can't help with that."), reply("I help.", "Take a tool and begin.")
    better, worse = (refusal, answer) if kind == "harmful" else (answer, refusal)
    return Pair.model_validate(
        {"id": f"{kind}-{number}", "kind": kind, "shared_prefix": "They ask.", "chosen": better, "rejected": worse}
        | {"prompt": [Message(role="user", content=TEXTS[kind])]}
    )


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    write_jsonl(file, [pair(kind, number).dump() for kind in TEXTS for number in range(2)])
    return file


def config(model: Path, arms: dict[str, Any]) -> RunConfig:
    prompts = model.parent / "asked.jsonl"
    write_jsonl(
        prompts, [{"id": "one", "kind": "plain", "split": "test", "messages": [{"role": "user", "content": "Hi"}]}]
    )
    return RunConfig.model_validate(
        {
            "model": str(model),
            "dtype": "float32",
            "prompts": [f"file:{prompts}"],
            "preference": {"batch_size": 2, "micro_batch_size": 2, "learning_rate": 0.01},
            "arms": arms,
            "evaluate": {"variants": [], "max_tokens": 4},
        }
    )


def test_the_second_stage_goes_on_from_the_first_with_the_other_pairs(
    tiny_model: Path, pairs: Path, tmp_path: Path
) -> None:
    data = {"rows": [str(pairs)]}
    arms = {
        "ipo": {"method": "preference", "data": data, "kinds": ["harmful"]},
        "benign": {"from": "ipo", "method": "preference", "data": data, "settings": {"epochs": 2}},
    }
    configured = config(tiny_model, arms)
    assert "ipo: preference, 4 pairs, 1 epochs in batches of 2" in costs_of(configured)
    results = run(configured, tmp_path / "out")
    assert [arm.name for arm in results.arms] == ["ipo", "benign"]
    facts = [json.loads((tmp_path / "out" / "arms" / f"{arm}-0" / "training.json").read_text()) for arm in arms]
    assert [one["data"] for one in facts] == ["2 pairs", "4 pairs"]
    assert facts[1]["model"] == str(tmp_path / "out" / "arms" / "ipo-0")


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"method": "sft", "data": {"recipe": "ipo"}}, "makes preference pairs, and the method sft wants rows"),
        ({"method": "preference", "data": {"recipe": "dgr"}}, "dgr makes rows, and the method preference wants"),
        ({"method": "sft", "data": {"rows": ["PAIRS"]}}, r"pairs.jsonl, line 1: a preference pair; SFT wants rows"),
        ({"method": "preference", "data": {"rows": ["absent.jsonl"]}}, r"absent.jsonl"),
    ],
)
def test_what_does_not_fit_the_method_is_refused_before_the_first_stage(
    tiny_model: Path, pairs: Path, tmp_path: Path, arm: dict[str, Any], said: str
) -> None:
    given = json.loads(json.dumps(arm).replace("PAIRS", str(pairs)))
    with pytest.raises(InputError, match=said):
        open_run(config(tiny_model, {"one": given}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pairs_are_made_by_ipo_where_nothing_else_is_named(tiny_model: Path) -> None:
    for arm in ({"method": "preference"}, {"method": "preference", "data": {"limit": 4}}):
        configured = config(tiny_model, {"one": arm})
        for one in (configured, configured.smoke()):
            assert isinstance(found := one.arms["one"], PreferenceArm)
            assert found.data.recipe == "ipo"


def test_kinds_that_no_pair_has_are_named(tiny_model: Path, pairs: Path, tmp_path: Path) -> None:
    arm = {"method": "preference", "data": {"rows": [str(pairs)]}, "kinds": ["reasoning"]}
    with pytest.raises(InputError, match=r"arms.one.kinds: no pair is of these"):
        open_run(config(tiny_model, {"one": arm}), tmp_path / "checked")
    with pytest.raises(InputError, match=r"arms.one.kinds: no pair is of these; there are pairs of harmful, sensitive"):
        run(config(tiny_model, {"one": arm}), tmp_path / "out")
