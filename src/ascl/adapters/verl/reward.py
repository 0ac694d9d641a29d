"""The reward as verl's custom reward function: `reward.custom_reward_function.path=pkg://ascl.adapters.verl.reward`."""

import json
import math
import os
import tempfile
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from ascl.adapters.verl.environment import tool_of_run
from ascl.adapters.verl.estimators import assert_registered
from ascl.adapters.verl.solution import check_readable, trajectory_of
from ascl.chat.dialects import dialect_for
from ascl.chat.render import Renderer
from ascl.consult.rollout import MAX_TURNS
from ascl.data.prompt import Kind, Prompt
from ascl.judges.judge import Case, Judge, judge_all
from ascl.train.reward import Reward, RewardWeights, score

assert_registered()  # a reward worker of verl that lacks our estimators is part of a run that would train with others
_reading = threading.Lock()  # verl calls from many threads, and a fast tokenizer serves one at a time


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: dict[str, Any],
    model: str,
    judge: dict[str, Any] | None = None,
    weights: dict[str, float] | None = None,
    max_turns: int = MAX_TURNS,
    **_: Any,
) -> dict[str, float]:
    """The reward of one rollout (`score`), its parts (`reward_*`) and the facts our trainer hands the estimators.

    extra_info holds the exported prompt. The rest are `reward_kwargs` of the config: model is the folder or hub id of
    the policy, whose tokenizer and template are read; judge and weights are as in a run's config. Where no verdict
    could be read, the score is NaN: our estimators leave the rollout out.
    """
    prompt = Prompt.model_validate_json(extra_info["prompt"])
    with _reading:
        trajectory = trajectory_of(solution_str, prompt, _renderer(model), tool_of_run(), max_turns)
    (verdict,) = judge_all(_judge(json.dumps(dict(judge or {}))), [Case(prompt, trajectory)])
    weighed = RewardWeights.model_validate(dict(weights or {}))
    parts = dict.fromkeys(Reward.model_fields, math.nan)
    if verdict is not None:
        parts = score(prompt.kind, trajectory, verdict, weighed).model_dump()
    total = parts.pop("total")
    return {
        "score": total,
        **{f"reward_{part}": value for part, value in parts.items()},
        "consulted": float(trajectory.consulted),
        "harmful": float(prompt.kind is Kind.HARMFUL),
    }


@lru_cache(maxsize=4)
def _renderer(model: str) -> Renderer:
    from ascl.models.model_folder import load_tokenizer

    tokenizer = load_tokenizer(os.path.expanduser(model))
    renderer = Renderer(tokenizer, dialect_for(tokenizer.chat_template, tokenizer.get_added_vocab()))
    check_readable(renderer)
    return renderer


@lru_cache(maxsize=4)
def _judge(settings: str) -> Judge:
    from ascl.judges.open_judge import open_judge
    from ascl.judges.settings import JudgeSettings

    cache = Path(tempfile.gettempdir()) / f"ascl_judge_{os.getpid()}.jsonl"
    return open_judge(JudgeSettings.model_validate_json(settings), tool_of_run().book, cache)
