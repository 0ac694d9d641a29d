"""SmolLM2 (and any ChatML model without a tool template of its own): Hermes turns, a tool text of one line."""

from ascl.chat.dialects import hermes
from ascl.chat.dialects.dialect import Dialect

SMOLLM2 = Dialect(
    name="smollm2",
    ends=("<|im_end|>",),
    opens="<think>",
    closes="</think>\n",
    thought_end=hermes.thought_end,
    parse=hermes.parse,
    shown_by=("<|im_end|>",),
    marks=hermes.MARKS,
)
