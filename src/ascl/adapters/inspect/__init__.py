"""The seams to Inspect (inspect_ai, extra `eval`): tasks, solver, scorer, model API and logs, all thin.

Modules here import inspect_ai at their top; everything outside imports this package inside functions only.
"""

import importlib.util

from ascl.errors import InputError

if importlib.util.find_spec("inspect_ai") is None:
    raise InputError("Inspect is not installed; install the extra `eval`: pip install 'ascl[eval]'")
