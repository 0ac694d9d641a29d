"""Qwen2.5 and Qwen3: Hermes turns and the tool text these models were trained on."""

from ascl.chat.dialects import hermes
from ascl.chat.dialects.dialect import Dialect

QWEN3 = Dialect(
    name="qwen3",
    ends=("<|im_end|>",),
    opens="<think>\n",
    closes="\n</think>\n\n",
    thought_end=hermes.thought_end,
    parse=hermes.parse,
    shown_by=("<|im_end|>", "<tool_call>"),
    marks=hermes.MARKS,
)
