"""LLM-VA's formulas: the SVM is the exact one, an edit does along the planted directions what the paper says."""

from pathlib import Path

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.errors import InputError
from ascl.models.activations import last_token_outputs
from ascl.models.models import load_model
from ascl.train.edit.alignment import Edit, Labelled, aligned, plan_edits
from ascl.train.edit.labels import f1
from ascl.train.edit.sublayers import check_sublayers, sublayers
from ascl.train.edit.svm import svm_normal

CONTEXTS = [[5, 6, 7], [8, 9], [10, 11, 12, 13], [14]]


def unit(size: int, seed: int) -> torch.Tensor:
    vector = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return vector / vector.norm()


def test_the_svm_of_two_points_is_known() -> None:
    # w = (w, 0): minimise w^2/2 + 2 C (1 - w)^2, so w = 4 C / (1 + 4 C).
    points = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    labels = torch.tensor([True, False])
    for cost in (0.1, 1.0, 10.0):
        assert svm_normal(points, labels, cost).tolist() == pytest.approx([4 * cost / (1 + 4 * cost), 0.0])
    assert svm_normal(10 * points, labels).tolist() == pytest.approx([400 / 4010, 0.0])


@settings(max_examples=25, deadline=None)
@given(
    points=arrays.arrays(np.float64, (9, 3), elements=st.floats(-5, 5, width=32)),
    labels=st.lists(st.booleans(), min_size=9, max_size=9),
    cost=st.floats(0.05, 20),
)
def test_the_svm_stands_where_its_objective_is_least(points: np.ndarray, labels: list[bool], cost: float) -> None:
    x, chosen = torch.tensor(points), torch.tensor(labels)
    w = svm_normal(x, chosen, cost).requires_grad_()
    y = chosen.double() * 2 - 1
    loss = w @ w / 2 + cost * (1 - y * (x @ w)).clamp(min=0).square().sum()
    (gradient,) = torch.autograd.grad(loss, w)
    assert gradient.abs().max() < 1e-6 * (1 + cost * x.square().sum())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), ratio=st.floats(0.1, 10))
def test_an_edit_puts_the_benign_reading_in_the_place_of_the_answered_one(seed: int, ratio: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    layer = torch.nn.Linear(7, 5).double()
    inputs = torch.randn(20, 7, generator=generator).double()
    answered, benign, aside = (unit(5, seed + i).double() for i in range(3))
    before = layer(inputs)
    edit = Edit(answered, ratio * benign - answered)
    with torch.no_grad():
        for tensor in (layer.weight, layer.bias):
            tensor.copy_(aligned(tensor, edit))
    after = layer(inputs)
    assert torch.allclose(after @ answered, ratio * (before @ benign), atol=1e-4)
    orthogonal = aside - (aside @ answered) * answered
    assert torch.allclose(after @ orthogonal, before @ orthogonal, atol=1e-4)


def test_the_papers_form_is_the_transpose_of_ours() -> None:
    rows, answered, benign = torch.randn(4, 3), unit(3, 1), unit(3, 2)  # o = x W, W [in, D]
    paper = rows + torch.outer(0.7 * rows @ benign - rows @ answered, answered)
    ours = aligned(rows.T, Edit(answered, 0.7 * benign - answered))
    assert torch.allclose(ours.T, paper, atol=1e-6)


@pytest.mark.parametrize("name", ["0.self_attn.o_proj", "1.mlp.down_proj"])
def test_planted_directions_are_aligned_in_a_model(tiny_model: Path, name: str) -> None:
    model = load_model(str(tiny_model), "float32")
    projections = sublayers(model, str(tiny_model))
    assert list(projections) == [f"{i}.{part}" for i in (0, 1) for part in ("self_attn.o_proj", "mlp.down_proj")]
    untouched = {key: tensor.clone() for key, tensor in model.state_dict().items() if name not in key}
    before = last_token_outputs(model, projections, CONTEXTS, 0, batch=3)[name]
    benign, answered = unit(16, 1), unit(16, 2)
    with torch.no_grad():
        weight = projections[name].weight
        weight.copy_(aligned(weight, Edit(answered, 2.5 * benign - answered)))
    after = last_token_outputs(model, projections, CONTEXTS, 0, batch=3)[name]
    assert torch.allclose(after @ answered, 2.5 * (before @ benign), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(before @ answered, 2.5 * (before @ benign), rtol=1e-2, atol=1e-6)
    now = model.state_dict()
    assert all(torch.equal(tensor, now[key]) for key, tensor in untouched.items())


def test_outputs_are_those_of_each_context_alone(tiny_model: Path) -> None:
    model = load_model(str(tiny_model), "float32")
    layers = {"last": model.get_decoder().layers[-1]}
    together = last_token_outputs(model, layers, CONTEXTS, 0, batch=4)["last"]
    for context, row in zip(CONTEXTS, together, strict=True):
        states = model.get_decoder()(torch.tensor([context]), output_hidden_states=True).hidden_states
        alone = last_token_outputs(model, layers, [context], 9, batch=1)["last"][0]
        assert torch.allclose(row, alone, atol=1e-6)
        normed = model.get_decoder().norm(alone)  # transformers gives the last hidden state after the norm
        assert torch.allclose(normed, states[-1][0, -1], atol=1e-5)


def test_edits_follow_planted_classes_and_the_best_layers_are_taken() -> None:
    generator = torch.Generator().manual_seed(4)
    benign = torch.tensor([True, True, False, False] * 10)
    answered = torch.tensor([True, False, True, False] * 10)
    held_out = torch.arange(40) >= 32
    b, a = torch.eye(6)[0], torch.eye(6)[1]

    def outputs(of_benign: torch.Tensor, of_answered: torch.Tensor, noise: float) -> torch.Tensor:
        signs = [(label.float() * 2 - 1)[:, None] for label in (benign, answered)]
        return 3 * signs[0] * of_benign + signs[1] * of_answered + noise * torch.randn(40, 6, generator=generator)

    found = {"read": outputs(b, a, 0.05), "noise": outputs(0 * b, 0 * a, 1.0), "against": outputs(-b, -a, 0.05)}
    labels = Labelled(benign, answered, held_out)
    edits = plan_edits(found, outputs(b, a, 0.05), labels, share=0.3)
    assert list(edits) == ["read"]
    assert list(plan_edits(found, outputs(b, a, 0.05), labels, share=0.01)) == ["read"]
    assert len(plan_edits(found, outputs(b, a, 0.05), labels, share=1.0)) == 3
    edit = edits["read"]
    assert float(edit.answered @ a) > 0.99
    moved = found["read"] + (found["read"] @ edit.change)[:, None] * edit.answered
    assert torch.equal((moved @ edit.answered) > 0, benign)  # answered is now read where benign is
    assert float((moved @ edit.answered).std()) == pytest.approx(float((found["read"] @ edit.answered).std()), rel=0.1)


def test_f1_counts_benign_prompts_answered() -> None:
    assert f1([(True, True), (True, False), (False, True), (False, False)]) == 0.5
    assert f1([(True, True), (False, False)]) == 1.0
    assert f1([(True, None), (False, None)]) == f1([(True, False), (False, True)]) == 0.0
    assert f1([(True, True), (True, None), (False, None)]) == pytest.approx(2 / 3)


def test_a_model_without_these_projections_is_one_line(tmp_path: Path) -> None:
    from transformers import GPT2Config, MixtralConfig

    GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=20).save_pretrained(tmp_path / "old")
    with pytest.raises(InputError, match="old: its decoder has no `layers`"):
        check_sublayers(str(tmp_path / "old"))
    config = MixtralConfig(
        num_hidden_layers=1, hidden_size=8, intermediate_size=8, num_attention_heads=1, num_key_value_heads=1
    )
    config.save_pretrained(tmp_path / "experts")
    with pytest.raises(InputError, match=r"experts: its layers have no plain linear mlp\.down_proj"):
        check_sublayers(str(tmp_path / "experts"))
