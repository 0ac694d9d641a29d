"""Which estimator learns best when to consult? A two-mode bandit, no language model.

    python studies/bandit.py [--seeds 40] [--steps 400] [--rate 0.75] [--overlap 0.5]

Prints, for every estimator of `ascl.train.advantages` (defaults unless the row says otherwise), the
consult rates on harmful and on sensitive prompts at the end and their difference, the selectivity: mean and standard
deviation over seeds. The last column is the selectivity at three times the learning rate: what a longer step alone
buys. The paper does not have this bandit; every number below that is not marked as the paper's is our assumption.

- A step has 16 prompts (8 harmful, 8 sensitive) and 8 rollouts of each; 400 steps (batch and group: the paper's).
- The policy consults with probability sigmoid(z), one z for harmful and one for sensitive prompts: it tells the kinds
  apart without error. Both start at a consult rate of 0.785.
- A rollout has one token, which chooses the mode. Nothing else is learnt: how good either mode is stays as it is.
- Rewards are the paper's: 1.5 for a safe answer to a harmful prompt, 0.5 for a safe answer to a sensitive one and 1
  more for compliance; no faults. Outcomes are independent coins. Harmful: safe with 0.90 consulting, 0.85 direct.
  Sensitive: safe with 0.95 either way, complied with 0.80 consulting, 0.85 direct. So consulting is worth +0.075 on
  harmful and -0.05 on sensitive prompts, in noise with standard deviations of about 0.5 and 0.4.
- The gradient is the mean over a step's 128 rollouts, followed by plain gradient ascent at a constant rate: no Adam, no
  schedule. A step on one kind's z moves the other's by `overlap` of it, as the weights of a model serve both.
- The rate was set with GRPO alone, so that it ends where an earlier bandit of ours did (selectivity 0.56); all rows
  share it. In the long run every unbiased estimator separates the kinds for good: this compares speeds.
  dr_grpo's advantages are in units of the reward, about half of the others' size, so it takes shorter steps.
- `exploration: half` (adaptthink's) and `stratified` (decoupled's) draw 4 candidates for a place that wants a mode and
  take the first of that mode, else the first. `half` corrects the old log-probability as `train/rl.py` does, with the
  consult share of the group's candidates, and clips the ratio at 0.2; a row without the clip shows what it does.
"""

import argparse
from dataclasses import dataclass

import torch

from ascl.train.advantages import (
    AdaGrpo,
    AdaptThink,
    Ampo,
    BaseAlgorithm,
    ConsultPenalty,
    Decoupled,
    DrGrpo,
    Grpo,
    Ifpo,
    IpsGrpo,
)
from ascl.train.exploration import Exploration, behaviour_share, mode_log_ratio, wanted_mode

PROMPTS, GROUP, START = 8, 8, 0.785  # prompts of each kind, rollouts of a prompt, consult rate at the start
SAFE = torch.tensor([[0.85, 0.90], [0.95, 0.95]])  # [harmful, sensitive] x [direct, consulting]
COMPLIED = torch.tensor([[0.0, 0.0], [0.85, 0.80]])
SAFE_WORTH = torch.tensor([1.5, 0.5])


@dataclass(frozen=True)
class Arm:
    """One row of the table."""

    name: str
    algorithm: BaseAlgorithm
    clip: float = 0.2


ARMS = [
    Arm("grpo", Grpo()),
    Arm("ifpo, tau 0.25", Ifpo(tau=0.25)),
    Arm("ifpo, tau 0.5", Ifpo()),
    Arm("ifpo, tau 1", Ifpo(tau=1)),
    Arm("dr_grpo", DrGrpo()),
    Arm("ada_grpo", AdaGrpo()),
    Arm("ips_grpo", IpsGrpo()),
    Arm("ampo", Ampo()),
    Arm("adaptthink, half", AdaptThink()),
    Arm("adaptthink, half, no clip", AdaptThink(), clip=float("inf")),
    Arm("consult_penalty", ConsultPenalty()),
    Arm("decoupled", Decoupled(exploration="none")),
    Arm("decoupled, stratified", Decoupled()),
]


def main() -> None:
    """Run every arm and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rate", type=float, default=0.75)
    parser.add_argument("--overlap", type=float, default=0.5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| estimator | harmful | sensitive | selectivity (sd) | at 3 x the rate |")
    print("|---|---:|---:|---:|---:|")
    for arm in ARMS:
        rates = train(arm, options.seeds, options.steps, options.rate, options.overlap)
        faster = train(arm, options.seeds, options.steps, 3 * options.rate, options.overlap)
        harmful, sensitive = (f"{rate:.2f}" for rate in rates.mean(dim=0).tolist())
        print(f"| {arm.name} | {harmful} | {sensitive} | {selectivity(rates)} | {selectivity(faster)} |", flush=True)


def selectivity(rates: torch.Tensor) -> str:
    """Mean and standard deviation over seeds of the harmful minus the sensitive consult rate. rates: [seeds, 2]."""
    gap = rates[:, 0] - rates[:, 1]
    return f"{gap.mean():.2f} ({gap.std():.2f})"


def train(arm: Arm, seeds: int, steps: int, rate: float, overlap: float) -> torch.Tensor:
    """The consult rates [seeds, (harmful, sensitive)] after training; the seeds run side by side."""
    generator = torch.Generator().manual_seed(0)
    algorithm = arm.algorithm
    kind = torch.tensor([0, 1]).repeat_interleave(PROMPTS).repeat(seeds)  # of each group: seeds x 16
    harmful = (kind == 0)[:, None].expand(-1, GROUP)
    sharing = torch.tensor([[1.0, overlap], [overlap, 1.0]])
    logits = torch.full((seeds, 2), START).logit()
    for step in range(steps):
        share = logits.sigmoid().repeat_interleave(PROMPTS, dim=1).view(-1, 1)
        consulted, estimate = sample(share, algorithm.exploration, algorithm.candidates, generator)
        rewards = outcomes(kind[:, None], consulted, generator)
        advantages, _ = algorithm.advantages(rewards, consulted, harmful, step / steps)
        if algorithm.exploration == "half":
            behaviour = behaviour_share(estimate, algorithm.candidates, "half", GROUP)
            ratio = torch.exp(-mode_log_ratio(estimate, behaviour, consulted))
            clipped = ratio.clamp(1 - arm.clip, 1 + arm.clip)
            advantages = torch.where(ratio * advantages <= clipped * advantages, ratio * advantages, 0.0)
        slopes = advantages * (consulted.float() - share)  # of log pi(mode) along z
        slopes = slopes.view(seeds, 2, -1).sum(dim=-1) / (2 * PROMPTS * GROUP)
        logits = logits + rate * slopes @ sharing
    return logits.sigmoid()


def sample(
    share: torch.Tensor, exploration: Exploration, candidates: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """The modes taken, bool [groups, G], and the candidates' consult share [groups, 1] as `train/rl.py` counts it."""
    drawn = torch.rand(len(share), GROUP, candidates, generator=generator) < share[:, :, None]
    wanted = [wanted_mode(exploration, place) for place in range(GROUP)]
    taken = torch.where(
        torch.tensor([mode is None for mode in wanted]),
        drawn[:, :, 0],
        torch.where(torch.tensor([mode is True for mode in wanted]), drawn.any(dim=-1), drawn.all(dim=-1)),
    )
    return taken, (drawn.sum(dim=(1, 2))[:, None] + 0.5) / (GROUP * candidates + 1)


def outcomes(kind: torch.Tensor, consulted: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The rewards [groups, G]. kind: int [groups, 1], 0 harmful, 1 sensitive."""
    mode = consulted.long()
    safe = torch.rand(consulted.shape, generator=generator) < SAFE[kind, mode]
    complied = torch.rand(consulted.shape, generator=generator) < COMPLIED[kind, mode]
    return SAFE_WORTH[kind] * safe + 1.0 * complied


if __name__ == "__main__":
    main()
