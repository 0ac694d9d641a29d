"""A ladder of attempts: what fails on one rung is asked again on the next ("Safety for Whom?", arXiv 2609.04482).

There one steered sample leaves 19.9 % of the harmful prompts without an acceptable reply of the model's own; asking
again, steering more strongly and asking so again leave 0.2 %. Deviation: a request that failed for good is not asked
again.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ascl.models.sampling import Sampling
from ascl.recipes.build import Rejected

STRONGER = 2  # the first rung, from 0, with the stronger question
ATTEMPTS = 4
STRIDE = 1_000_003  # between the seeds of rungs: one server seed a prompt would give the same sample again

Found = TypeVar("Found")


@dataclass
class Climbed(Generic[Found]):
    """accepted: what was found, by id. rungs: the stage that gave it. rejected: the last failure of the others.

    failures: of every attempt, by reason. names: the stages of all rungs.
    """

    names: list[str]
    accepted: dict[str, Found] = field(default_factory=dict)
    rungs: dict[str, str] = field(default_factory=dict)
    rejected: dict[str, Rejected] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)

    def coverage(self, ids: Sequence[str]) -> dict[str, int | float]:
        """The share of `ids` with a reply once each rung was climbed; empty without ids."""
        found = Counter(self.rungs[i] for i in ids if i in self.rungs)
        return {
            name: sum(found[one] for one in self.names[: n + 1]) / len(ids) for n, name in enumerate(self.names) if ids
        }


def climb(
    stage: str,
    ids: Sequence[str],
    attempts: int,
    attempt: Callable[[str, int, list[str]], tuple[dict[str, Found], list[Rejected]]],
) -> Climbed[Found]:
    """Attempt all ids, then those that failed, up to `attempts` times.

    attempt: from the rung's stage (`stage`, `stage_2`, ..), its number from 0 and the ids that are left to what was
    found by id, and the failures.
    """
    climbed: Climbed[Found] = Climbed([stage, *(f"{stage}_{n}" for n in range(2, attempts + 1))])
    left = list(ids)
    for number, name in enumerate(climbed.names):
        if not left:
            break
        found, failed = attempt(name, number, left)
        climbed.accepted |= found
        climbed.rungs |= dict.fromkeys(found, name)
        climbed.failures.update(f.reason for f in failed)
        climbed.rejected |= {f.id: f for f in failed}
        again = {f.id for f in failed if f.reason != "request failed"}
        left = [i for i in left if i in again]
    climbed.rejected = {i: f for i, f in climbed.rejected.items() if i not in climbed.accepted}
    return climbed


def sampling_of(sampling: Sampling, number: int) -> Sampling:
    """How a rung samples: as the first one does, with a seed of its own."""
    return sampling.model_copy(update={"seed": sampling.seed + STRIDE * number})
