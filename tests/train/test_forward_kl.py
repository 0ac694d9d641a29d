"""Forward KL on benign rows: the formula, its weights, and trainings that reduce to the plain ones."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_runs import LORA, log_of, moved, rows, sft, tool

from ascl.data.prompt import Kind
from ascl.errors import InputError
from ascl.train.losses.forward_kl import (
    branch_weights,
    cross_entropy_in_blocks,
    forward_kl,
    kl_in_blocks,
)

LOGITS = st.lists(st.floats(-8, 8, width=32), min_size=3, max_size=3)


def test_the_divergence_of_two_coins_by_hand() -> None:
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    assert forward_kl(p, q).item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert forward_kl(q, p).item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))


@settings(deadline=None)
@given(LOGITS, LOGITS, st.floats(-5, 5, width=32))
def test_it_is_not_negative_and_its_gradient_is_what_the_student_has_too_much(
    one: list[float], other: list[float], shift: float
) -> None:
    reference, student = torch.tensor([one], dtype=torch.float64), torch.tensor([other], dtype=torch.float64)
    student.requires_grad_()
    loss = forward_kl(reference, student)
    assert loss.item() >= -1e-6
    torch.testing.assert_close(forward_kl(reference + shift, student), loss, atol=1e-5, rtol=1e-4)
    loss.sum().backward()
    expected = student.softmax(-1) - reference.softmax(-1)
    torch.testing.assert_close(student.grad, expected, atol=1e-5, rtol=1e-4, check_dtype=False)
    assert forward_kl(reference, reference).item() == 0


@settings(deadline=None)
@given(st.integers(1, 1000), st.integers(1, 1000))
def test_the_branches_weigh_the_same_or_by_their_tokens(harmful: int, benign: int) -> None:
    for by, both in (("equal", 2.0), ("tokens", 1.0)):
        of_harmful, of_benign = branch_weights(harmful, benign, by)  # type: ignore[arg-type]
        assert (of_harmful * harmful + of_benign * benign) / (harmful + benign) == pytest.approx(both)


@settings(deadline=None)
@given(st.integers(0, 9), st.integers(1, 4))
def test_blocks_change_nothing(tokens: int, block: int) -> None:
    torch.manual_seed(tokens)
    head, hidden, before = torch.nn.Linear(4, 7), torch.randn(tokens, 4), torch.randn(tokens, 4)
    labels = torch.randint(7, (tokens,))
    gradients = []
    for size in (block, 100):
        student = hidden.clone().requires_grad_()
        loss = kl_in_blocks(before, head, student, head, block=size) + cross_entropy_in_blocks(
            labels, student, head, size
        )
        loss.backward()
        gradients.append(student.grad)
    torch.testing.assert_close(gradients[0], gradients[1])
    whole = forward_kl(head(before), head(hidden)).sum()
    whole = whole + torch.nn.functional.cross_entropy(head(hidden), labels, reduction="sum")
    torch.testing.assert_close(loss, whole)


@pytest.mark.parametrize("lora", [None, LORA], ids=["all weights", "adapters"])
def test_a_training_starts_without_divergence_and_leaves_the_reference_alone(
    tiny_model: Path, tmp_path: Path, lora: object
) -> None:
    sft(tiny_model, tmp_path / "out", lora, benign_loss="forward_kl")  # type: ignore[arg-type]
    log = log_of(tmp_path / "out")
    seen = [row["forward_kl"] for row in log if "forward_kl" in row]
    assert seen[0] == pytest.approx(0, abs=1e-6) and seen[-1] > 0
    assert log[-1]["cross_entropy"] < log[0]["cross_entropy"]
    assert moved(tiny_model, tmp_path / "out") > 0


def test_adapters_that_were_trained_before_are_part_of_the_reference(tiny_model: Path, tmp_path: Path) -> None:
    sft(tiny_model, tmp_path / "first", LORA)
    sft(tmp_path / "first", tmp_path / "second", LORA, benign_loss="forward_kl", epochs=1)
    seen = [row["forward_kl"] for row in log_of(tmp_path / "second") if "forward_kl" in row]
    assert seen[0] == pytest.approx(0, abs=1e-6)


def test_where_nearly_all_tokens_are_harmful_ones_it_is_plain_cloning(tiny_model: Path, tmp_path: Path) -> None:
    harmful = [row for row in rows(tool()) if row.kind is Kind.HARMFUL]
    (benign,) = [row for row in rows(tool()) if row.kind is not Kind.HARMFUL][:1]
    sft(tiny_model, tmp_path / "plain", rows=harmful, epochs=1, batch_size=6, micro_batch_size=2, warmup=0.0)
    sft(
        tiny_model,
        tmp_path / "kl",
        rows=[*harmful, benign],
        epochs=1,
        batch_size=7,
        micro_batch_size=7,
        warmup=0.0,
        benign_loss="forward_kl",
    )
    plain, kl = log_of(tmp_path / "plain")[0], log_of(tmp_path / "kl")[0]
    assert kl["loss"] == pytest.approx(plain["loss"], rel=1e-4)  # the mean over harmful tokens; the divergence is 0
    assert float(kl["grad_norm"]) == pytest.approx(float(plain["grad_norm"]), rel=1e-3)


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ([Kind.HARMFUL], "this set has no benign ones"),
        ([Kind.SENSITIVE, Kind.PLAIN], "this set has no harmful ones"),
        ([None], "the kind of every row, and row .* has none"),
    ],
)
def test_a_set_without_one_of_the_branches_is_refused(
    tiny_model: Path, tmp_path: Path, kinds: list[Kind | None], said: str
) -> None:
    given = [row.model_copy(update={"kind": kinds[i % len(kinds)]}) for i, row in enumerate(rows(tool()))]
    with pytest.raises(InputError, match=f"sft.benign_loss: forward_kl needs .*{said}"):
        sft(tiny_model, tmp_path / "out", rows=given, benign_loss="forward_kl")
