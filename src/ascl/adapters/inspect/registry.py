"""What Inspect imports to know our tasks, solver, scorer and model API (entry point group `inspect_ai`)."""

from ascl.adapters.inspect.provider import ascl
from ascl.adapters.inspect.scorer import verdict
from ascl.adapters.inspect.solver import consult
from ascl.adapters.inspect.tasks import TASKS

__all__ = ["TASKS", "ascl", "consult", "verdict"]
