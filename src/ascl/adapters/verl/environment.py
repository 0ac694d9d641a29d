"""The consult tool of a cluster run, the same in every process: read from the environment, which Ray passes on.

verl calls a function tool with the model's arguments alone and hands a reward function no tool, so neither can be
given a rule book. The configs in `configs/verl/` set the variables under `ray_kwargs.ray_init.runtime_env`.
"""

import os
from functools import lru_cache

from ascl.consult.tool import DEFAULT_TOP_K, ConsultTool
from ascl.errors import InputError
from ascl.rules.book import RuleBook


@lru_cache(maxsize=1)
def tool_of_run() -> ConsultTool:
    """The tool over the rule book in ASCL_RULES (`default` if unset), with ASCL_TOP_K rules by default (3)."""
    top_k = os.environ.get("ASCL_TOP_K", str(DEFAULT_TOP_K))
    if not top_k.isdecimal() or int(top_k) < 1:
        raise InputError(f"ASCL_TOP_K is {top_k!r}: write a number from 1 on")
    return ConsultTool(RuleBook.load(os.environ.get("ASCL_RULES", "default")), default_top_k=int(top_k))
