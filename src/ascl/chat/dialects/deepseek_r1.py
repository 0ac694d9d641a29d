"""DeepSeek-R1 distillations: R1's role tokens, with Hermes turns for the tool calls their own template lacks."""

from ascl.chat.dialects import hermes
from ascl.chat.dialects.dialect import Dialect

DEEPSEEK_R1 = Dialect(
    name="deepseek_r1",
    ends=("<｜end▁of▁sentence｜>",),
    opens="<think>\n",
    closes="\n</think>\n\n",
    thought_end=hermes.thought_end,
    parse=hermes.parse,
    shown_by=("<｜User｜>",),
    marks=hermes.MARKS,
)
