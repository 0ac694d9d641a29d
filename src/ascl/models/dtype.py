"""The number format of a model's weights: named, or the one this machine is fast in."""

from typing import Literal, get_args

from ascl.errors import InputError

Dtype = Literal["auto", "bfloat16", "float32"]


def machine_dtype(dtype: str) -> str:
    """`bfloat16` or `float32`. `auto` is bfloat16 on a GPU and on a processor with instructions for it, else float32.

    A processor without them takes several times as long for a product in bfloat16 as for one in float32. Raises
    InputError for any other name.
    """
    if dtype not in get_args(Dtype):
        raise InputError(f"dtype {dtype}: use one of {', '.join(get_args(Dtype))}")
    if dtype != "auto":
        return dtype
    import torch

    has_bf16 = any(there for name, there in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    return "bfloat16" if torch.cuda.is_available() or has_bf16 else "float32"
