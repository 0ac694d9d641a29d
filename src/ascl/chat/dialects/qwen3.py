"""Qwen2.5 and Qwen3: Hermes turns and the tool text these models were trained on."""

from ascl.chat.dialects import hermes
from ascl.chat.dialects.dialect import Dialect

QWEN3 = Dialect("qwen3", end_of_turn="<|im_end|>", parse=hermes.parse)
