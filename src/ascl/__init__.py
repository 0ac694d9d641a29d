"""ASCL: adaptive safe context learning, from a rule book to an aligned model.

    from ascl import consult, evaluate, ifpo_weights, judge, run_config, search

The names are loaded when they are first used: `import ascl` is light.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ascl.api import consult, evaluate, ifpo_weights, judge, run_config, search

__version__ = "0.1.0"
__all__ = ["__version__", "consult", "evaluate", "ifpo_weights", "judge", "run_config", "search"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from ascl import api

        return getattr(api, name)
    raise AttributeError(f"module 'ascl' has no attribute {name!r}")
