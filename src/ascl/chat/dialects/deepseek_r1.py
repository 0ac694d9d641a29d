"""DeepSeek-R1 distillations: R1's role tokens, with Hermes turns for the tool calls their own template lacks."""

from ascl.chat.dialects import hermes
from ascl.chat.dialects.dialect import Dialect

DEEPSEEK_R1 = Dialect("deepseek_r1", end_of_turn="<｜end▁of▁sentence｜>", parse=hermes.parse)
