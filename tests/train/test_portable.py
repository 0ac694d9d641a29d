"""A trained folder elsewhere: its base by name, its card, adapters merged into one model, and the way to the hub."""

import json
from pathlib import Path

import pytest
import torch
from commands import done, refused
from peft import LoraConfig, get_peft_model

from ascl.errors import InputError
from ascl.files import write_json
from ascl.models.models import load_model, load_renderer
from ascl.stats import Estimate
from ascl.train.portable import base_of, card, merge_folder, name_base, write_card

FACTS = {
    "base model": "owner/base", "base revision": "c0ffee", "method": "rl", "algorithm": {"type": "ifpo", "tau": 0.5},
    "data": "12 prompts", "rule book": "abc", "judge": "guard | of\nmine", "seed": 3, "dialect": "hermes",
    "ascl": "1.0", "tools": [{"type": "function", "function": {"name": "consult"}}],
}  # fmt: skip


def adapters(model: str, folder: Path) -> Path:
    """A folder of adapters that change what the model says, as a training leaves it."""
    torch.manual_seed(0)
    lora = LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    trained = get_peft_model(load_model(model, "float32", for_training=True), lora)
    with torch.no_grad():
        for name, weight in trained.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.5)
    trained.save_pretrained(str(folder))
    load_renderer(model).tokenizer.save_pretrained(folder)
    name_base(folder, model)
    write_json(folder / "training.json", FACTS)
    write_json(folder / "training_log.json", [{"step": 1, "loss": 0.5}])
    write_card(folder)
    return folder


@pytest.fixture(scope="module")
def adapted(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapters(str(tiny_model), tmp_path_factory.mktemp("adapted") / "bc")


def logits(folder: Path) -> torch.Tensor:
    with torch.no_grad():
        return load_model(str(folder), "float32")(torch.arange(40).view(2, 20)).logits


def base_named(folder: Path) -> str:
    return json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]


def test_the_embedded_model_is_named_and_not_a_path_of_this_machine(embedded: Path, tmp_path: Path) -> None:
    assert base_of("embedded") == ("embedded", None)
    folder = adapters("embedded", tmp_path / "bc")
    assert base_named(folder) == "embedded"
    assert base_of(str(folder)) == ("embedded", None), "what goes on from the adapters has their base"
    assert str(tmp_path) not in (folder / "README.md").read_text()
    assert load_model(str(folder), "float32").config.vocab_size > 0


def test_a_local_base_is_named_in_full(adapted: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert base_of(str(tiny_model)) == base_of(str(adapted)) == (str(tiny_model.resolve()), None)
    (tmp_path / "link").symlink_to(tiny_model)
    assert base_of(str(tmp_path / "link")) == (str(tiny_model.resolve()), None)
    name_base(tiny_model, "embedded")  # no adapters: nothing names a base, and nothing is written
    assert not (tiny_model / "adapter_config.json").exists()


def test_the_card_says_what_the_model_is_and_how_to_use_it() -> None:
    figures = {"h_avg": Estimate(value=0.7, low=0.6, high=0.84), "safety": Estimate(value=0.5), "reasoning": Estimate()}
    figures["separation"] = Estimate(value=0.3, low=-0.1, high=0.6)
    text = card(FACTS, figures, "The suite starter, by offline.")
    assert text.startswith("---\nbase_model: owner/base\n")
    for line in (
        "| base model | owner/base at c0ffee |",
        "| algorithm | ifpo |",
        "| training rows or prompts | 12 prompts |",
        "| judge of the reward | guard \\| of mine |",
        "| seed | 3 |",
        "The suite starter, by offline.",
        "| safety | 50 |",
        "| H-avg | 70 [60, 84] |",
        "| separation | 30 [-10, 60] |",
        '"name": "consult"',
    ):
        assert line in text
    assert "| reasoning |" not in text
    assert "base_model:" not in card(FACTS | {"base model": "embedded"}, None, "")
    assert "base_model:" not in card(FACTS | {"base model": "/home/me/base"}, None, "")
    assert "## Figures" not in card(FACTS, None, "")


def test_a_merged_model_answers_as_its_adapters_do(adapted: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "merged"
    assert f"the merged model: {out}" in " ".join(
        done("merge", str(adapted), "--out", str(out), "--dtype", "float32").split()
    )
    torch.testing.assert_close(logits(out), logits(adapted))
    assert not torch.allclose(logits(out), logits(tiny_model), atol=1e-3)
    assert not list(out.glob("adapter*"))
    assert [path.name for path in out.parent.iterdir()] == ["merged"]
    for name in ("README.md", "training.json", "training_log.json"):
        assert (out / name).read_bytes() == (adapted / name).read_bytes()
    renderer = load_renderer(str(out))
    assert renderer.dialect.name == load_renderer(str(adapted)).dialect.name
    assert renderer.tokenizer.get_vocab() == load_renderer(str(adapted)).tokenizer.get_vocab()
    with pytest.raises(InputError, match="exists already"):
        merge_folder(adapted, out)
    with pytest.raises(InputError, match="holds no adapters"):
        merge_folder(out, tmp_path / "again")


def test_what_can_not_go_to_the_hub_is_one_line(adapted: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert "no trained folder of ascl (it lacks training.json)" in refused("push", str(tiny_model), "me/model")
    assert "`ascl merge` it first" in refused("push", str(adapted), "me/model")
    merge_folder(adapted, tmp_path / "merged")
    assert "can't be pushed" in refused("push", str(tmp_path / "merged"), "me/model"), "it holds all its weights"
    write_json(tmp_path / "bc" / "training.json", FACTS)
    write_json(tmp_path / "bc" / "adapter_config.json", {"base_model_name_or_path": "owner/base", "revision": None})
    line = refused("push", str(tmp_path / "bc"), "me/model")  # the tests work without a hub
    assert line.startswith("ascl: me/model: can't be pushed (") and "`hf auth login` or HF_TOKEN" in line
