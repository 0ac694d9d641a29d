"""ASCL: adaptive safe context learning, from a rule book to an aligned model.

    from ascl import evaluate, ifpo_weights, judge, rollout, run_config, search

The names are loaded when they are first used: `import ascl` is light.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "evaluate", "ifpo_weights", "judge", "rollout", "run_config", "search"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("ascl.api"), name)
    raise AttributeError(f"module 'ascl' has no attribute {name!r}")
