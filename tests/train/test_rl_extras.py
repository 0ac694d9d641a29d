"""What the trainer does beyond GRPO's advantages: credit apart, explored groups, and verdicts that can't be read."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from scripted_rollouts import GROUP
from trainers import SETTINGS, Make, assert_credit, of_groups, one_batch

from ascl.chat.messages import Trajectory
from ascl.files import read_finished
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.verdict import Verdict
from ascl.train.advantages import AdaptThink, Decoupled, Ifpo
from ascl.train.decision import decision_length
from ascl.train.exploration import behaviour_share, mode_log_ratio
from ascl.train.rl import ConsultTrainer


def test_decoupled_puts_the_choice_on_the_first_tokens_and_the_rest_behind(make: Make, tmp_path: Path) -> None:
    assert_credit(make, tmp_path / "decoupled.jsonl", Decoupled())


def test_explored_groups_correct_the_probability_of_their_mode(make: Make) -> None:
    trainer = make(ConsultTrainer, algorithm=AdaptThink(candidates=2))
    inputs, output = one_batch(trainer)
    for row in inputs:
        walked: Trajectory = row["trajectory"]
        assert walked.stop is not None
        assert any(walked.completion_mask)
        assert len(walked.completion_ids) == len(walked.completion_mask)
    consulted = of_groups(inputs, lambda row: row["trajectory"].consulted)
    candidates = torch.tensor([row["candidates"] for row in inputs]).view(-1, GROUP, 3)
    counts, first_turns = candidates.sum(dim=1), candidates[:, :, 2] > 0
    assert (first_turns == consulted).all()  # no script consults only after a fault
    assert counts[:, 1].tolist() == [2 * GROUP] * len(counts)
    share = ((counts[:, 0] + 0.5) / (counts[:, 1] + 1))[:, None]
    expected = mode_log_ratio(share, behaviour_share(share, 2, "half", GROUP), first_turns).flatten()

    ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
    mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
    with torch.no_grad():
        now, *_ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, output["completion_ids"].shape[1]
        )
    off_by = output["old_per_token_logps"] - now
    positions = [decision_length(row["trajectory"], trainer.renderer) - 1 for row in inputs]
    assert max(positions) > 0
    for i, position in enumerate(positions):
        assert off_by[i, position].item() == pytest.approx(expected[i].item(), abs=1e-4)
        assert (off_by[i, :position].abs() < 1e-4).all()
        assert off_by[i, position + 1 :].abs().max() < 1e-4
    trainer.train()


class Unreadable(OfflineJudge):
    """Has nothing readable to say about every third trajectory."""

    def judge_many(self, cases: Any) -> list[Verdict | None]:
        return [v if i % 3 else None for i, v in enumerate(super().judge_many(cases))]


def test_a_verdict_that_cannot_be_read_is_left_out_and_counted(make: Make, tmp_path: Path) -> None:
    log = tmp_path / "ifpo.jsonl"
    trainer = make(ConsultTrainer, algorithm=Ifpo(), rollout_log=log)
    trainer.reward_funcs[0].judge = Unreadable()
    _, output = one_batch(trainer)
    rows = read_finished(log)
    unread = [i for i, row in enumerate(rows) if row["reward"] is None]
    assert unread == list(range(0, len(rows), 3))
    assert output["advantages"][unread].abs().max() == 0
    assert torch.isfinite(output["advantages"]).all()
    rewards = of_groups(rows, lambda row: row["reward"]["total"] if row["reward"] else math.nan)
    expected = (rewards - rewards.nanmean(dim=1, keepdim=True)).nan_to_num() > 0
    assert ((output["advantages"].view(-1, GROUP) > 0) == expected).all()
    trainer.train()
    logged = [row for row in trainer.state.log_history if "reward" in row]
    assert logged[0]["unjudged"] == pytest.approx(1 / 3)


def test_reward_parts_are_columns_of_their_own(make: Make) -> None:
    trainer = make(ConsultTrainer)
    one_batch(trainer)
    parts = {f"reward_{part}" for part in ("safety", "compliance", "hallucination", "format", "faults", "total")}
    assert parts <= set(trainer._logs["extra"])
    assert len(trainer._logs["extra"]["reward_safety"]) == SETTINGS.prompts_per_step * GROUP
