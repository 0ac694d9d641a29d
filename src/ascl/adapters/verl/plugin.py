"""The entry point of group `verl.plugins`: `import verl` imports this file in every process.

verl swallows what goes wrong here, so whoever relies on it calls `estimators.assert_registered`.
"""

from ascl.adapters.verl.estimators import register

register()
