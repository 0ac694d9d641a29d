"""TRL on a CPU: score only the tokens that carry loss.

On a GPU, TRL 1.16 projects only labelled positions onto the vocabulary; elsewhere it projects every position, prompt
and padding included, to keep tile shapes constant for compilers. A CPU does not compile, so it gains from the GPU's
way; the loss is the same (tests/train/test_consult_trainer.py and test_run_sft.py). One private name of TRL decides it,
whose version is pinned.
"""

import torch
import trl.trainer.utils as trl_utils


def score_labelled_tokens_only() -> None:
    """Make TRL's fused language-model head skip unlabelled positions on a CPU too. Idempotent."""
    if torch.cuda.is_available():
        return
    trl_utils._use_triton = lambda device: True
