"""Our algorithms as estimators of verl: `ascl_grpo`, `ascl_ifpo`, .. (one for each of the union)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from ascl.adapters.verl.facts import interior_zeros, known_facts
from ascl.train.advantages import TYPES, BaseAlgorithm

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {f"ascl_{name}": algorithm for name, algorithm in TYPES.items()}
_NOT_HERE = {"type", "exploration", "candidates"}  # the name is verl's `adv_estimator`; verl samples the groups


def algorithm_of(name: str, config: Mapping[str, Any] | None) -> BaseAlgorithm:
    """The algorithm of an estimator's name, with the settings of verl's `algorithm` section.

    They stand under `algorithm.ascl`, which may hold those of other algorithms as well, and have the defaults of the
    class (`eps`: 1e-4, as in TRL; verl's own: 1e-6). Raises ValueError for a name no algorithm has.
    """
    section = (config.get("ascl") if config is not None else None) or {}
    given = {str(key): section[key] for key in section}
    known = {key for algorithm in ALGORITHMS.values() for key in algorithm.model_fields} - _NOT_HERE
    if unknown := sorted(set(given) - known):
        raise ValueError(f"algorithm.ascl: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    cls = ALGORITHMS[name]
    return cls.model_validate({key: value for key, value in given.items() if key in cls.model_fields})


def estimate(
    name: str,
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: Any,
    config: Mapping[str, Any] | None = None,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages and returns (the same) of every token, 0 where the mask is: float [rows, tokens] each.

    token_level_rewards: float [rows, tokens], a row's sum is its reward; NaN marks a rollout no judge could score.
    response_mask: 0/1 [rows, tokens]. index: [rows], rows of one value are one group; groups may differ in size.
    Rows without a model token are verl's padding and stay 0. Without `known` facts, consulted is `interior_zeros`.
    Raises ValueError for a group of one, and for an algorithm that needs facts where there are none.
    """
    facts, algorithm = known_facts(), algorithm_of(name, config)
    if facts is None and algorithm.needs:
        raise ValueError(
            f"{name} needs more than verl hands an estimator ({', '.join(sorted(algorithm.needs))}): start with "
            "`python -m ascl.adapters.verl.launch` and trainer.v1.trainer_mode=ascl_sync"
        )
    mask = response_mask.bool()
    rewards = token_level_rewards.sum(dim=-1)
    consulted = interior_zeros(mask) if facts is None else facts.consulted.to(mask.device)
    harmful = torch.zeros_like(consulted) if facts is None else facts.harmful.to(mask.device)
    progress = 0.0 if facts is None else facts.progress
    decision, content = torch.zeros_like(rewards), torch.zeros_like(rewards)
    for rows in groups(index, mask):
        if len(rows) < 2:
            raise ValueError(f"the group of prompt {index[rows[0]]} holds one rollout: set actor_rollout_ref.rollout.n")
        group = torch.tensor(rows, device=mask.device)
        first, other = algorithm.advantages(
            rewards[group][None], consulted[group][None], harmful[group][None], progress
        )
        decision[group], content[group] = first[0], other[0]
    advantages = content[:, None].expand(mask.shape)
    if facts is not None and "decision_tokens" in algorithm.needs:
        place = torch.arange(mask.shape[1], device=mask.device)
        choosing = place < facts.decision_length.to(mask.device)[:, None]
        advantages = torch.where(choosing, decision[:, None], advantages)
    advantages = advantages * mask
    return advantages, advantages


def groups(index: Any, mask: torch.Tensor) -> list[list[int]]:
    """The rows of each group, in order of first appearance, without padding rows (no model token)."""
    found: dict[Any, list[int]] = {}
    for row, (group, real) in enumerate(zip(index, mask.any(dim=1).tolist(), strict=True)):
        if real:
            found.setdefault(group, []).append(row)
    return list(found.values())


def register() -> None:
    """Make every estimator known to verl. It may be called again."""
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, register_adv_est

    for name in ALGORITHMS:
        if name not in ADV_ESTIMATOR_REGISTRY:
            register_adv_est(name)(partial(estimate, name))


def assert_registered() -> None:
    """Raise RuntimeError unless verl knows every estimator. verl itself hides why a plugin did not load."""
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

    if missing := [name for name in ALGORITHMS if name not in ADV_ESTIMATOR_REGISTRY]:
        raise RuntimeError(
            f"verl does not know {', '.join(missing)}: its plug-in `ascl` was not loaded. Is ascl installed in this "
            "environment, and VERL_USE_EXTERNAL_PLUGINS neither `none` nor a list without `ascl`? "
            "`python -c 'import ascl.adapters.verl.plugin'` shows an import error that verl hides."
        )
