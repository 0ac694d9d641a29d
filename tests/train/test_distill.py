"""On-policy self-distillation: the divergence, a teacher that is the student, trainings that end where they should."""

import math
import signal
from pathlib import Path

import forked
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_rollouts import PROMPTS
from training_runs import LORA, distill, log_of, main, moved, same

from ascl.errors import InputError
from ascl.inputs import read_json
from ascl.run.arms import DistillArm
from ascl.run.config import RunConfig
from ascl.run.costs import costs_of
from ascl.run.stages import Stage, do
from ascl.run.world import ConfiguredWorld
from ascl.train.losses.forward_kl import forward_kl, kl_in_blocks
from ascl.train.losses.symmetric_kl import symmetric_kl
from ascl.train.settings import DistillSettings, Lora

LOGITS = st.lists(st.floats(-8, 8, width=32), min_size=3, max_size=3)


def test_the_divergence_of_two_coins_by_hand() -> None:
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    one = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    other = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert symmetric_kl(p, q).item() == pytest.approx((one + other) / 2)


@settings(deadline=None)
@given(LOGITS, LOGITS)
def test_it_is_symmetric_and_nothing_where_both_are_the_same(one: list[float], other: list[float]) -> None:
    p, q = torch.tensor([one]), torch.tensor([other], requires_grad=True)
    torch.testing.assert_close(symmetric_kl(p, q), symmetric_kl(q, p))
    torch.testing.assert_close(2 * symmetric_kl(p, q), forward_kl(p, q) + forward_kl(q, p))
    assert symmetric_kl(p, q).item() >= -1e-6
    alone = p.clone().requires_grad_()
    symmetric_kl(p, alone).sum().backward()
    assert symmetric_kl(p, p).item() == 0 and alone.grad is not None and alone.grad.abs().max() < 1e-6


def test_blocks_change_nothing() -> None:
    torch.manual_seed(0)
    head, hidden, before = torch.nn.Linear(4, 7), torch.randn(9, 4), torch.randn(9, 4)
    whole = symmetric_kl(head(before), head(hidden)).sum()
    torch.testing.assert_close(kl_in_blocks(before, head, hidden, head, symmetric_kl, block=2), whole)


@pytest.mark.parametrize("lora", [None, LORA], ids=["all weights", "adapters"])
def test_a_teacher_that_sees_no_more_than_the_student_teaches_nothing(
    tiny_model: Path, tmp_path: Path, lora: Lora | None
) -> None:
    distill(tiny_model, tmp_path / "out", lora, teacher="pure", learning_rate=1e-6)
    assert all(abs(row["loss"]) < 1e-6 for row in log_of(tmp_path / "out"))
    assert moved(tiny_model, tmp_path / "out") < 1e-4


def test_the_student_comes_nearer_to_the_teacher_who_reads_the_rules(tiny_model: Path, tmp_path: Path) -> None:
    distill(tiny_model, tmp_path / "out", LORA, prompts=PROMPTS[:1], max_steps=12, temperature=0.01, warmup=0.0)
    losses = [row["loss"] for row in log_of(tmp_path / "out")]
    assert losses[0] > 0
    assert min(losses[-4:]) < losses[0] / 2
    facts = read_json(tmp_path / "out" / "training.json")
    assert (facts["method"], facts["data"]) == ("distill", "1 prompts")


def test_a_killed_training_goes_on_from_the_last_whole_checkpoint(tiny_model: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "killed", tmp_path / "killed.log"
    assert forked.finish(log, main, "distill", str(tiny_model), str(out), "step:2") == -signal.SIGKILL
    with pytest.raises(InputError, match="another settings"):
        distill(tiny_model, out, max_tokens=5)
    distill(tiny_model, out)
    distill(tiny_model, tmp_path / "whole")
    assert same(out, tmp_path / "whole")


def test_without_prompts_there_is_one_line(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="distill: there is no prompt"):
        distill(tiny_model, tmp_path / "out", prompts=[])
    with pytest.raises(ValueError, match="micro_batch_size must divide prompts_per_step"):
        DistillSettings(prompts_per_step=6, micro_batch_size=4)


def test_an_arm_of_a_run_is_checked_planned_and_trained(tiny_model: Path, tmp_path: Path) -> None:
    arm = {"method": "distill", "max_steps": 1, "prompts_per_step": 2, "micro_batch_size": 2, "max_tokens": 4}
    config = RunConfig.model_validate({"model": str(tiny_model), "dtype": "float32", "arms": {"opsa": arm}})
    world = ConfiguredWorld(config)
    assert costs_of(config)[-1] == "opsa: distill, 1 steps of 2 replies of at most 4 tokens"
    config.arms["opsa"].check("opsa", None, world)
    smoke = config.smoke().arms["opsa"]
    assert isinstance(smoke, DistillArm) and (smoke.max_steps, smoke.max_tokens) == (2, 16)
    do(Stage("train", "opsa", 0), tmp_path, config, world)
    assert read_json(tmp_path / "arms" / "opsa-0" / "training.json")["method"] == "distill"
    lacking = RunConfig.model_validate(config.model_dump(by_alias=True) | {"prompts": [f"file:{tmp_path / 'p.jsonl'}"]})
    (tmp_path / "p.jsonl").write_text('{"id": "a", "prompt": "How?", "kind": "harmful", "split": "train"}\n')
    with pytest.raises(InputError, match=r"arms\.opsa\.kinds: there is no train prompt of kind sensitive"):
        lacking.arms["opsa"].check("opsa", None, ConfiguredWorld(lacking))
