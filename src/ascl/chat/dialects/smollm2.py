"""SmolLM2 (and any ChatML model without a tool template of its own): Hermes turns, a tool text of one line."""

from ascl.chat.dialects import hermes
from ascl.chat.dialects.dialect import Dialect

SMOLLM2 = Dialect("smollm2", end_of_turn="<|im_end|>", parse=hermes.parse)
