"""The number format of weights: as named, or the one the machine is fast in."""

import pytest
import torch

from ascl.errors import InputError
from ascl.models.dtype import machine_dtype
from ascl.run.config import RunConfig


@pytest.mark.parametrize(
    ("capabilities", "found"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, "float32"),
        ({"avx2": True, "avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
        ({"neon": True, "arm_bf16": True}, "bfloat16"),
        ({}, "float32"),
    ],
)
def test_auto_follows_the_processor(monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], found: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert machine_dtype("auto") == found


def test_auto_is_the_default_a_named_format_is_taken_and_others_are_refused() -> None:
    assert [machine_dtype(name) for name in ("bfloat16", "float32")] == ["bfloat16", "float32"]
    assert machine_dtype(RunConfig(model="m").dtype) in ("bfloat16", "float32")
    with pytest.raises(InputError, match=r"dtype float16: use one of auto, bfloat16, float32"):
        machine_dtype("float16")
