"""Model folders of anyone: their Python never runs, and what is wrong with one is one line that says so."""

import ast
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import ascl
from ascl.errors import InputError
from ascl.models.model_folder import check_weights, load_config, load_tokenizer
from ascl.models.models import load_model, load_renderer


def load(folder: Path) -> Any:
    """All that a run reads of a folder."""
    load_renderer(str(folder))
    return load_model(str(folder), "float32")


def refused(folder: Path, read: Callable[[Path], Any] = load) -> str:
    """The one line that a folder gets."""
    with pytest.raises(InputError) as caught:
        read(folder)
    line = str(caught.value)
    assert line.startswith(f"model {folder}: ")
    assert "\n" not in line
    assert "no such folder" not in line or "base model" in line
    return line


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A sound folder, to be damaged."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from peft import LoraConfig, get_peft_model

    path = tmp_path_factory.mktemp("lora") / "adapter"
    model = get_peft_model(load_model(str(tiny_model), "float32"), LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    model.save_pretrained(str(path))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_model / name, path)
    return path


@pytest.fixture
def lora(adapter: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(adapter, tmp_path / "lora"))


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


# Code


EVIL = "from pathlib import Path\nPath({marker!r}).touch()\nclass Evil: pass\n"
AUTO_MAP = {name: "evil.Evil" for name in ("AutoConfig", "AutoModelForCausalLM", "AutoModel")}


@pytest.fixture
def marker(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the folder's Python would write. Standard input says yes to all questions."""
    path = tmp_path / "ran"
    (folder / "evil.py").write_text(EVIL.format(marker=str(path)))
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 100))
    return path


@pytest.mark.parametrize("model_type", ["unheard-of", "llama"])
@pytest.mark.parametrize("read", [load_config, load_tokenizer, load_renderer, load_model])
def test_no_code_of_a_folder_runs(folder: Path, marker: Path, model_type: str, read: Callable[[str], Any]) -> None:
    change(folder / "config.json", model_type=model_type, auto_map=AUTO_MAP)
    tokenizer = {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    change(folder / "tokenizer_config.json", tokenizer_class="Evil", auto_map=tokenizer)
    try:
        read(str(folder))
    except InputError as error:  # a known type is read, without that code
        assert str(error).startswith(f"model {folder}: ")
    assert not marker.exists()


def test_no_code_of_an_adapter_s_base_runs(folder: Path, lora: Path, marker: Path) -> None:
    change(folder / "config.json", model_type="unheard-of", auto_map=AUTO_MAP)
    change(lora / "adapter_config.json", base_model_name_or_path=str(folder), auto_mapping={"parent_library": "evil"})
    with pytest.raises(InputError, match="Python code of its own, which is not run"):
        load_model(str(lora))
    assert not marker.exists()


def test_every_loader_is_told_to_run_no_code() -> None:
    """In the whole source: nothing is loaded by name without `trust_remote_code=False`."""
    loaders = ("from_pretrained", "from_config", "SentenceTransformer")
    found = 0
    for path in Path(ascl.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in loaders:
                said = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert said.get("trust_remote_code") == "False", f"{path}:{node.lineno}"
                found += 1
    assert found >= 6


# Damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


DEEP = "[" * 200_000
WHOLE_FILES = ("null", "[]", "3", '"x"', "{", "", DEEP, '{"a": ' * 50_000, "9" * 5000, "\ud800")


@pytest.mark.parametrize("text", WHOLE_FILES, ids=range(len(WHOLE_FILES)))
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_file_that_holds_something_else(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(folder)


@pytest.mark.parametrize("text", WHOLE_FILES, ids=range(len(WHOLE_FILES)))
def test_an_adapter_config_that_is_something_else(lora: Path, text: str) -> None:
    (lora / "adapter_config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(lora)


@pytest.mark.parametrize(
    "fields",
    [
        {"hidden_size": -1}, {"hidden_size": "x"}, {"hidden_size": 10**12}, {"hidden_size": 10**30},
        {"hidden_size": None}, {"hidden_size": 4096}, {"hidden_size": 0}, {"num_attention_heads": 0},
        {"num_attention_heads": 10**9}, {"num_hidden_layers": 10**7}, {"num_hidden_layers": 10**30},
        {"num_hidden_layers": 1e7}, {"num_hidden_layers": 1}, {"num_hidden_layers": 3}, {"num_hidden_layers": -1},
        {"num_labels": 10**9}, {"vocab_size": 10**12}, {"vocab_size": 10**9}, {"intermediate_size": 10**15},
        {"head_dim": 10**12},
        {"model_type": "gpt2"}, {"model_type": "bert"}, {"model_type": "mamba"}, {"model_type": "t5"},
        {"model_type": 3}, {"model_type": "gpt2", "n_positions": 10**9},
        {"model_type": "mixtral", "num_local_experts": 10**8},
        {"rope_parameters": {"rope_type": "nonsense"}}, {"hidden_act": "evil"}, {"dtype": "evil"},
        {"quantization_config": {"quant_method": "evil"}}, {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {"quantization_config": {}, "compression_config": {"quant_method": None}},
        {"_attn_implementation": "someone/kernel"}, {"attn_implementation": "someone/kernel:x"},
    ],
    ids=str,
)  # fmt: skip
def test_numbers_that_cannot_be(folder: Path, fields: dict[str, Any]) -> None:
    """Without a hang, and before anything is allocated."""
    change(folder / "config.json", **fields)
    refused(folder)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def save(tensors: dict[str, torch.Tensor], folder: Path, name: str = "model.safetensors") -> None:
    save_file(tensors, folder / name, metadata={"format": "pt"})


def test_no_weight_is_drawn_at_random(folder: Path) -> None:
    whole = weights(folder)
    lacking = sorted(whole)[-1]
    save({key: tensor for key, tensor in whole.items() if key != lacking}, folder)
    refused(folder)
    # as many numbers as there should be, under another name
    save({key if key != lacking else "other": tensor for key, tensor in whole.items()}, folder)
    assert lacking in refused(folder)


def test_weights_of_another_model(folder: Path) -> None:
    whole, key = weights(folder), "model.layers.0.mlp.up_proj.weight"
    save(whole | {"model.layers.7.mlp.up_proj.weight": torch.zeros(32, 16)}, folder)
    assert "no place for model.layers.7" in refused(folder)
    save(whole | {key: whole[key].T.contiguous()}, folder)
    assert f"{key} has shape [16, 32] in the weights, [32, 16] by config.json" in refused(folder)
    save({}, folder)
    assert "no tensors" in refused(folder)
    save({"something.else": torch.zeros(3)}, folder)
    assert "describes" in refused(folder)
    save({"something.else": torch.zeros(3_000_000)}, folder)
    assert "the weights lack" in refused(folder)


@pytest.mark.parametrize("named", ["sub/other.safetensors", "adapter_model.bin", "", 5])
def test_a_configuration_names_no_other_weights(folder: Path, named: Any) -> None:
    (folder / "sub").mkdir()
    save({name: torch.ones_like(tensor) for name, tensor in weights(folder).items()}, folder, "sub/other.safetensors")
    torch.save(weights(folder), folder / "adapter_model.bin")
    change(folder / "config.json", transformers_weights=named)
    assert "transformers_weights" in refused(folder)


@pytest.mark.parametrize("read", [load, lambda folder: check_weights(str(folder))])
def test_pickles_are_not_read(folder: Path, read: Callable[[Path], Any]) -> None:
    torch.save(weights(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "pytorch_model.bin is a pickle" in refused(folder, read)


@pytest.mark.parametrize(
    "index",
    [
        {"weight_map": {"a": "/etc/passwd"}}, {"weight_map": {"a": "../x.safetensors"}}, {"weight_map": {"a": "gone"}},
        {"weight_map": {}}, {"weight_map": []}, {"weight_map": {"a": 3}}, {}, [], None,
    ],
    ids=str,
)  # fmt: skip
def test_an_index_of_other_files(folder: Path, index: Any) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder)


def test_a_model_in_shards(folder: Path, tiny_model: Path) -> None:
    whole = weights(folder)
    names = {key: f"part-{i % 2}.safetensors" for i, key in enumerate(sorted(whole))}
    for part in set(names.values()):
        save({key: whole[key] for key in names if names[key] == part}, folder, part)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    expected = load(tiny_model).state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in load(folder).state_dict().items())


def test_a_tokenizer_that_is_not_whole(folder: Path) -> None:
    whole = (folder / "tokenizer.json").read_text()
    for part in ("model", "added_tokens"):
        (folder / "tokenizer.json").write_text(json.dumps({k: v for k, v in json.loads(whole).items() if k != part}))
        refused(folder)
    (folder / "tokenizer.json").write_text(whole)
    load(folder)
    for value in ("x", [3], {"0": None}, {"0": {"content": 3}}, {"x": {"content": "a"}}):
        change(folder / "tokenizer_config.json", added_tokens_decoder=value)
        refused(folder)


def test_a_tokenizer_with_more_tokens_than_the_model(folder: Path) -> None:
    tokenizer = load_tokenizer(str(folder))
    tokenizer.add_tokens(["one-more"])
    tokenizer.save_pretrained(folder)
    assert "token" in refused(folder)


@pytest.mark.parametrize(
    "normalizer",
    [{"type": "Replace", "pattern": pattern, "content": ""} for pattern in ({"String": "\u200b"}, {"Regex": "\\p{Cf}"})]
    + [{"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": False}],
    ids=str,
)
def test_a_tokenizer_that_undoes_every_break(folder: Path, normalizer: dict[str, Any]) -> None:
    change(folder / "tokenizer.json", normalizer=normalizer | {"strip_accents": None})
    assert "zero-width space" in refused(folder)


def test_a_tokenizer_that_cuts_every_break_out(folder: Path) -> None:
    before = json.loads((folder / "tokenizer.json").read_text())["pre_tokenizer"]
    cut = {"type": "Split", "pattern": {"String": "\u200b"}, "behavior": "Removed", "invert": False}
    change(folder / "tokenizer.json", pre_tokenizer={"type": "Sequence", "pretokenizers": [cut, before]})
    assert "zero-width space" in refused(folder)


def test_a_fifo_is_not_waited_for(folder: Path) -> None:
    import os

    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).rename(folder / "kept")
        os.mkfifo(folder / name)
        assert f"{name} is no regular file" in refused(folder)
        (folder / name).unlink()
        (folder / "kept").rename(folder / name)


# Adapters


@pytest.mark.parametrize(
    "fields",
    [
        {"r": 10**9}, {"r": 0}, {"r": -1}, {"r": "x"}, {"r": 3}, {"r": None}, {"rank_pattern": {"q_proj": 10**9}},
        {"rank_pattern": {"(a+)+$": 2}}, {"peft_type": "EVIL"}, {"peft_type": None}, {"peft_type": "PROMPT_TUNING"},
        {"base_model_name_or_path": None}, {"base_model_name_or_path": 3}, {"base_model_name_or_path": "a\0b"},
        {"base_model_name_or_path": "nobody/nowhere"}, {"base_model_name_or_path": "/nowhere"},
        {"base_model_name_or_path": "x" * 5000}, {"base_model_name_or_path": ""}, {"target_modules": "((a+)+)+$"},
        {"target_modules": ["nowhere"]}, {"target_modules": []}, {"target_modules": ["q_proj"]},
        {"target_modules": ["q_proj", "v_proj", "k_proj"]}, {"init_lora_weights": "pissa"}, {"lora_alpha": "x"},
        {"megatron_config": {"a": 1}, "megatron_core": "evil"}, {"modules_to_save": ["lm_head"]}, {"lora_alpha": 1e999},
    ],
    ids=lambda fields: str(fields)[:60],
)  # fmt: skip
def test_adapters_that_do_not_fit(lora: Path, fields: dict[str, Any]) -> None:
    change(lora / "adapter_config.json", **fields)
    refused(lora)


def test_an_adapter_of_itself(lora: Path) -> None:
    load(lora)  # it is sound
    change(lora / "adapter_config.json", base_model_name_or_path=str(lora))
    assert "an adapter itself" in refused(lora)
    refused(lora, lambda path: load_config(str(path)))


def test_adapter_weights_that_are_not_the_adapter_s(lora: Path) -> None:
    name = "adapter_model.safetensors"
    whole = load_file(lora / name)
    save({key.replace("q_proj", "elsewhere"): tensor for key, tensor in whole.items()}, lora, name)
    assert "the weights lack" in refused(lora)
    save({key: tensor for key, tensor in whole.items() if "q_proj" in key}, lora, name)
    assert "the weights lack" in refused(lora)
    save({key: tensor.repeat(2, 1) for key, tensor in whole.items()}, lora, name)
    refused(lora)
    save({}, lora, name)
    assert "no tensors" in refused(lora)
    (lora / name).unlink()
    assert "holds no weights" in refused(lora)
    torch.save(whole, lora / "adapter_model.bin")
    assert "is a pickle" in refused(lora)
