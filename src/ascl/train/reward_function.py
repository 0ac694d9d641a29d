"""TRL's reward function: the judge's verdicts on a batch of trajectories, scored part by part."""

from typing import Any

from ascl.chat.messages import StopReason, Trajectory
from ascl.data.prompt import Prompt
from ascl.judges.judge import Case, Judge, judge_all
from ascl.judges.verdict import Verdict
from ascl.train.reward import Reward, RewardWeights, score


class RewardFunction:
    """TRL's reward function: judges the trajectories, logs every part, and keeps them for the rollout log."""

    __name__ = "reward"

    def __init__(self, prompts: list[Prompt], judge: Judge, weights: RewardWeights) -> None:
        self.prompts = {prompt.id: prompt for prompt in prompts}
        self.judge, self.weights = judge, weights
        self.batch: list[tuple[Prompt, Trajectory, Verdict | None, Reward | None]] = []

    def __call__(
        self, prompt_id: list[str], trajectory: list[Trajectory], log_metric: Any, log_extra: Any, **_: Any
    ) -> list[float | None]:
        """The total reward of each rollout; None where no verdict could be read, which TRL leaves out."""
        prompts = [self.prompts[identity] for identity in prompt_id]
        for prompt, walked in zip(prompts, trajectory, strict=True):
            walked.prompt_id = prompt.id
        verdicts = judge_all(self.judge, list(map(Case, prompts, trajectory)))
        self.batch = []
        for prompt, walked, verdict in zip(prompts, trajectory, verdicts, strict=True):
            reward = score(prompt.kind, walked, verdict, self.weights) if verdict else None
            for part, value in reward.model_dump(exclude={"total"}).items() if reward else ():
                log_metric(f"reward_{part}", value)
            log_metric("consult_rate", float(walked.consulted))
            log_metric(f"consult_rate_{prompt.kind.value}", float(walked.consulted))
            log_metric("truncated", float(walked.stop is StopReason.TRUNCATED))
            log_metric("unjudged", float(verdict is None))
            self.batch.append((prompt, walked, verdict, reward))
        for part in Reward.model_fields:
            log_extra(f"reward_{part}", [reward and getattr(reward, part) for *_, reward in self.batch])
        return [reward.total if reward else None for *_, reward in self.batch]
