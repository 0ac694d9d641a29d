"""What a model in this process is: every file that changes its answers is seen, and no other."""

import json
import os
from pathlib import Path

import pytest

from ascl.models.fingerprint import OTHERS, SMALL, fingerprint, local_facts


def folder(path: Path) -> Path:
    path.mkdir()
    for name, content in {"config.json": b"{}", "model.safetensors": b"weights"}.items():
        (path / name).write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["model.safetensors", "model-2.safetensors", "pytorch_model.bin", *OTHERS])
def test_every_file_that_says_what_a_model_does_is_seen(tmp_path: Path, name: str) -> None:
    model = folder(tmp_path / "m")
    seen = {fingerprint(str(model))}
    for content in (b"one", b"two", b"twoo"):
        (model / name).write_bytes(content)
        seen.add(fingerprint(str(model)))
    assert len(seen) == 4


def test_other_files_and_times_are_not_looked_at(tmp_path: Path) -> None:
    model = folder(tmp_path / "m")
    before = fingerprint(str(model))
    (model / "README.md").write_text("A model.")
    (model / "training_log.json").write_text("[]")
    os.utime(model / "model.safetensors", (1, 1))
    model.rename(tmp_path / "n")
    assert fingerprint(str(tmp_path / "n")) == before


def test_of_a_large_file_its_ends_and_what_lies_between_are_looked_at(tmp_path: Path) -> None:
    model = folder(tmp_path / "m")
    path, size = model / "model.safetensors", SMALL * 4
    with path.open("wb") as file:
        file.truncate(size)
    seen = {fingerprint(str(model))}
    for place in (0, size // 3 // 65536 * 65536, size - 1):
        with path.open("r+b") as file:
            for at in range(place, min(place + (1 << 23), size), 1 << 12):
                file.seek(at)
                file.write(b"x")
        seen.add(fingerprint(str(model)))
    assert len(seen) == 4


def test_an_adapters_base_is_seen_too(tmp_path: Path) -> None:
    base, adapter = folder(tmp_path / "base"), folder(tmp_path / "adapter")
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    before = fingerprint(str(adapter))
    (base / "model.safetensors").write_bytes(b"others")
    assert fingerprint(str(adapter)) != before


@pytest.mark.parametrize(
    "config", ["", "[]", "{}", '{"base_model_name_or_path": 1}', "[" * 100_000, '{"base_model_name_or_path": "."}']
)
def test_a_broken_adapter_is_left_to_who_loads_it(tmp_path: Path, config: str) -> None:
    model = folder(tmp_path / "m")
    (model / "adapter_config.json").write_text(config)
    assert fingerprint(str(model))


def test_what_is_no_folder_has_none(tmp_path: Path) -> None:
    assert [fingerprint(name) for name in ("embedded", "owner/name", str(tmp_path / "gone"), "")] == [None] * 4
    assert local_facts(str(tmp_path / "gone")) == {}
