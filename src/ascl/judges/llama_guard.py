"""Llama-Guard 3 and 4: the chat template asks the question; `safe`, or `unsafe` and a line of codes, answers it."""

import re

from ascl.judges.guard import FENCES, Guard, Reading, Safety, exchange

_REPLY = re.compile(r"safe|unsafe *\n(?P<codes>S(?:[1-9]|1[0-4])(?:, ?S(?:[1-9]|1[0-4])){0,13})")

messages = exchange


def parse(text: str) -> Reading | None:
    """The reading of a reply that is `safe`, or `unsafe` and codes from S1 to S14; None of any other.

    The guard does not say whether the answer refuses.
    """
    found = _REPLY.fullmatch(text.strip())
    if found is None:
        return None
    codes = found["codes"]
    return Reading(Safety.UNSAFE, broken=codes) if codes else Reading(Safety.SAFE)


LLAMA_GUARD = Guard("llama_guard", messages, parse, markers=(*FENCES, "User:", "Agent:"))
