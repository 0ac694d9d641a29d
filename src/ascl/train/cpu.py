"""TRL on a CPU: score only the tokens that carry loss, and keep the rollouts of a group in one micro-batch.

On a GPU, TRL 1.16 projects only labelled positions onto the vocabulary; elsewhere it projects every position, prompt
and padding included, to keep tile shapes constant for compilers. A CPU does not compile, so it gains from the GPU's
way; the loss is the same (tests/train/test_consult_trainer.py and test_run_sft.py).

GRPOTrainer shuffles a step's rollouts before it cuts them into micro-batches. Their gradients are summed, so the order
changes nothing but rounding; in the order of their groups, a micro-batch can share a prompt (`shared_prefix.py`).
Two private names of TRL decide these, whose version is pinned.
"""

import torch
import trl.trainer.grpo_trainer as trl_grpo
import trl.trainer.utils as trl_utils


def fit_trl_to_cpu() -> None:
    """Make TRL skip unlabelled positions and keep the order of a step's rollouts on a CPU. Idempotent."""
    if torch.cuda.is_available():
        return
    trl_utils._use_triton = lambda device: True
    trl_grpo.shuffle_sequence_dict = lambda seq_dict: seq_dict
