"""The private names of TRL that `ConsultTrainer` and `cpu.py` lean on: a new TRL must fail here, not in silence."""

import inspect
from importlib.metadata import version

import torch
import trl.trainer.utils as trl_utils
from scripted_rollouts import GROUP, PROMPTS
from trainers import SETTINGS, Make, one_batch
from trl import GRPOTrainer
from trl.kernels import chunked_logprob
from trl.trainer.utils import add_fused_lm_head


def test_what_generating_and_scoring_leaves_behind(make: Make) -> None:
    trainer = make(GRPOTrainer)
    inputs, output = one_batch(trainer)
    size = SETTINGS.prompts_per_step * GROUP
    assert len(inputs) == size
    # What the rollout function returned beyond its required keys lies in the rows.
    assert [row["trajectory"].prompt_id for row in inputs] == [row["prompt_id"] for row in inputs]
    assert {row["prompt_id"] for row in inputs} <= {prompt.id for prompt in PROMPTS}
    # The members of a group stand side by side.
    assert all(len({row["prompt_id"] for row in inputs[i : i + GROUP]}) == 1 for i in range(0, size, GROUP))
    assert output["advantages"].shape == (size,)
    assert output["advantages"].dtype == torch.float32
    assert list(trainer._logs["advantages"]) == output["advantages"].tolist()
    assert trainer._logs["advantages"].maxlen == size
    assert trainer._metrics["train"]["reward_total_is_no_metric"] == []  # a list per name, made on first use
    assert isinstance(trainer._metrics["train"]["reward"], list)
    assert trainer.reward_funcs[0].batch[0][0].id == inputs[0]["prompt_id"]


def test_the_names_we_lean_on() -> None:
    assert version("trl").startswith("1.16.")
    assert list(inspect.signature(GRPOTrainer._generate_and_score_completions).parameters) == ["self", "inputs"]
    assert "_use_triton(hidden_states.device)" in inspect.getsource(add_fused_lm_head)
    assert list(inspect.signature(chunked_logprob._use_triton).parameters) == ["device"]
    assert "_use_triton" in vars(trl_utils)
