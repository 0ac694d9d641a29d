"""The algorithms of RL: what turns the rewards of a group of rollouts into advantages. One file each.

**To add one** is a file here with a class, and the class in the union below; `ascl run`, `ascl rl`, the lab and verl
then know it. A class of your own outside this package needs no line here: `type: package.module:ClassName` in a
configuration (a module that Python can import: it is installed, or its folder is in PYTHONPATH).

**The contract.** A subclass of `BaseAlgorithm` (pydantic, frozen) with

- `type: Literal["its_name"] = "its_name"`; of a class of your own the import path;
- its settings as fields, with ranges; `exploration` and `candidates` with the defaults it was made for;
- `needs`: of `harmful`, `progress` and `decision_tokens` what it reads. Without `decision_tokens` all tokens of a
  rollout get the second of the two results. verl without our trainer gives none of the three;
- `advantages(rewards, consulted, harmful, progress) -> (decision, content)`, a pure function on torch tensors.
  rewards: float [groups, G >= 2], NaN where no judge could score: that rollout's advantages must be 0, and it must not
  change those of the others but as a member of its mode. consulted: bool [groups, G], a tool result stands in the
  rollout. harmful: bool [groups, G], the prompt's kind. progress: the share of the training that is done, in [0, 1].
  decision: float [groups, G], for the tokens that choose the mode (`train/decision.py`); content: for all others.
  Both finite; groups do not see each other; a permutation of a group permutes them.

Settings are read where torch is not installed, so torch is imported in the methods. `group.py` has the means and
standard deviations over the scored rollouts.
"""

from typing import Annotated, Any, get_args

from pydantic import Field, SerializeAsAny, TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from ascl.errors import InputError, first_problem
from ascl.extension import imported_settings, is_import_path
from ascl.train.advantages.ada_grpo import AdaGrpo
from ascl.train.advantages.adaptthink import AdaptThink
from ascl.train.advantages.algorithm import BaseAlgorithm
from ascl.train.advantages.ampo import Ampo
from ascl.train.advantages.consult_penalty import ConsultPenalty
from ascl.train.advantages.decoupled import Decoupled
from ascl.train.advantages.dr_grpo import DrGrpo
from ascl.train.advantages.grpo import Grpo
from ascl.train.advantages.ifpo import Ifpo
from ascl.train.advantages.ips_grpo import IpsGrpo

Ours = Grpo | Ifpo | DrGrpo | AdaGrpo | IpsGrpo | Ampo | AdaptThink | ConsultPenalty | Decoupled
TYPES: dict[str, type[BaseAlgorithm]] = {cls.model_fields["type"].default: cls for cls in get_args(Ours)}


def _read(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """A name is short for `{type: name}`; an import path names a class of the user's own."""
    if isinstance(value, BaseAlgorithm):
        return value
    if isinstance(value, str):
        value = {"type": value}
    name = value.get("type") if isinstance(value, dict) else None
    if isinstance(name, str) and is_import_path(name):
        return imported_settings(name, BaseAlgorithm, value)
    if isinstance(name, str) and name not in TYPES:
        raise InputError(f"{name}: use one of {', '.join(TYPES)}, or a class of your own as package.module:ClassName")
    return check(value)


Algorithm = Annotated[SerializeAsAny[Annotated[Ours, Field(discriminator="type")]], WrapValidator(_read)]
_ALGORITHM: TypeAdapter[BaseAlgorithm] = TypeAdapter(Algorithm)


def algorithm_of(value: Any) -> BaseAlgorithm:
    """The algorithm of a name, an import path or a mapping with `type` and settings. Raises InputError."""
    try:
        return _ALGORITHM.validate_python(value)
    except ValidationError as error:
        raise InputError(first_problem(error)) from error
