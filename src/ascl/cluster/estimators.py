"""Our advantage estimators behind verl's interface: `ascl_grpo`, `ascl_ifpo`, .. (one for each `Algorithm`)."""

from collections.abc import Mapping
from functools import partial
from typing import Any, get_args

import torch

from ascl.cluster.facts import interior_zeros, known_facts
from ascl.train.advantages.switch import Algorithm, advantages_of
from ascl.train.settings import RlSettings

PREFIX = "ascl_"
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
NAMES = tuple(PREFIX + algorithm for algorithm in ALGORITHMS)
NEEDS_FACTS: tuple[Algorithm, ...] = ("ada_grpo", "consult_penalty", "split")
PARAMETERS = ("tau", "w_min", "w_max", "mode_weight", "penalty", "delta", "sharpness", "carry")


def settings_of(config: Mapping[str, Any] | None) -> tuple[RlSettings, float]:
    """The settings of an `algorithm` section, and the number added to the standard deviation.

    They stand under `algorithm.ascl` and default to those of `RlSettings`; `eps` to 1e-4, as in TRL (verl's own: 1e-6).
    Raises ValueError for a name no estimator has.
    """
    section = (config.get("ascl") if config is not None else None) or {}
    given = {str(name): section[name] for name in section}
    eps = float(given.pop("eps", 1e-4))
    if unknown := sorted(set(given) - set(PARAMETERS)):
        raise ValueError(f"algorithm.ascl: unknown {', '.join(unknown)}; known are eps, {', '.join(PARAMETERS)}")
    return RlSettings.model_validate(given), eps


def estimate(
    algorithm: Algorithm,
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
    facts = known_facts()
    if facts is None and algorithm in NEEDS_FACTS:
        raise ValueError(
            f"{PREFIX}{algorithm} needs more than verl hands an estimator (the kind of prompt, the progress or the "
            "decision tokens): start with `python -m ascl.cluster.launch` and trainer.v1.trainer_mode=ascl_sync"
        )
    settings, eps = settings_of(config)
    mask = response_mask.bool()
    rewards = token_level_rewards.sum(dim=-1)
    consulted = interior_zeros(mask) if facts is None else facts.consulted.to(mask.device)
    sensitive = torch.zeros_like(consulted) if facts is None else facts.sensitive.to(mask.device)
    progress = 0.0 if facts is None else facts.progress
    decision, content = torch.zeros_like(rewards), torch.zeros_like(rewards)
    for rows in groups(index, mask):
        if len(rows) < 2:
            raise ValueError(f"the group of prompt {index[rows[0]]} holds one rollout: set actor_rollout_ref.rollout.n")
        group = torch.tensor(rows, device=mask.device)
        first, other = advantages_of(
            algorithm, settings, rewards[group][None], consulted[group][None], sensitive[group][None], progress, eps
        )
        decision[group], content[group] = first[0], other[0]
    advantages = content[:, None].expand(mask.shape)
    if facts is not None and algorithm == "split":
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

    for algorithm in ALGORITHMS:
        if PREFIX + algorithm not in ADV_ESTIMATOR_REGISTRY:
            register_adv_est(PREFIX + algorithm)(partial(estimate, algorithm))


def assert_registered() -> None:
    """Raise RuntimeError unless verl knows every estimator. verl itself hides why a plugin did not load."""
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY

    if missing := [name for name in NAMES if name not in ADV_ESTIMATOR_REGISTRY]:
        raise RuntimeError(
            f"verl does not know {', '.join(missing)}: its plug-in `ascl` was not loaded. Is ascl installed in this "
            "environment, and VERL_USE_EXTERNAL_PLUGINS neither `none` nor a list without `ascl`? "
            "`python -c 'import ascl.cluster.plugin'` shows an import error that verl hides."
        )
