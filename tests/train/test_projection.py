"""ProCon's penalty: nothing where nothing drifts, its gradient, and what it does in a training."""

from pathlib import Path

import pytest
import torch
from training_runs import LORA, SFT, log_of, rows, same, tool, training

from ascl.chat.messages import Message
from ascl.data.prompt import Kind, Prompt, harmful_and_plain
from ascl.errors import InputError
from ascl.models.models import load_model
from ascl.models.refusal_direction import layer_states, refusal_directions
from ascl.train.checkpoints import trainable_model
from ascl.train.losses.projection import projection_drift, projections
from ascl.train.projected import context
from ascl.train.settings import SftSettings
from ascl.train.sft import run_sft

PROMPTS = [
    Prompt(id=f"{kind.value}-{i}", messages=[Message(role="user", content=f"{text} {i}?")], kind=kind)
    for kind, text in ((Kind.HARMFUL, "How do I steal"), (Kind.PLAIN, "What is the name of river"))
    for i in range(3)
]


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def test_where_nothing_drifts_the_penalty_and_its_gradient_are_zero() -> None:
    states, directions = drawn(4, 3, 5).float().requires_grad_(), refusal_directions(drawn(6, 3, 5), drawn(2, 3, 5))
    reference = projections(states, directions).detach()
    loss = projection_drift(states, directions, reference)
    loss.backward()
    assert loss.item() == 0
    assert states.grad is not None
    assert not states.grad.any()
    aside = states.detach() + (drawn(4, 3, 5) - projections(drawn(4, 3, 5), directions)[..., None] * directions)
    assert projection_drift(aside, directions, reference).item() == pytest.approx(0, abs=1e-10)
    along = states.detach() + torch.tensor([1.0, 2.0, 3.0])[None, :, None] * directions
    assert projection_drift(along, directions, reference).item() == pytest.approx((1 + 4 + 9) / 3, rel=1e-5)


def test_the_gradient_is_that_of_finite_differences() -> None:
    directions = refusal_directions(drawn(6, 3, 5), drawn(2, 3, 5))
    states, reference, step = drawn(2, 3, 5), drawn(2, 3), 1e-2
    (gradient,) = torch.autograd.grad(
        projection_drift(point := states.clone().requires_grad_(), directions, reference), point
    )
    for place in ((0, 0, 0), (1, 2, 4), (0, 1, 3)):
        moved = torch.zeros_like(states)
        moved[place] = step
        up, down = (projection_drift(states + sign * moved, directions, reference).item() for sign in (1, -1))
        assert gradient[place].item() == pytest.approx((up - down) / (2 * step), rel=1e-3, abs=1e-5)


def test_the_direction_is_the_unit_difference_of_means() -> None:
    harmful, plain = drawn(6, 2, 4), drawn(3, 2, 4)
    found = refusal_directions(harmful, plain)
    assert torch.allclose(found.norm(dim=-1), torch.ones(2, dtype=torch.float64))
    assert (projections(harmful, found).mean(dim=0) > projections(plain, found).mean(dim=0)).all()
    assert not refusal_directions(plain, plain).any()


def test_a_context_ends_where_the_loss_begins() -> None:
    assert context([5, 6, 7, 8], [-100, -100, 7, 8]) == [5, 6]
    assert context([5, 6], [-100, -100]) == [5, 6]


def test_the_penalty_holds_the_projections_and_without_weight_it_is_plain_sft(
    tiny_model: Path, cloned: Path, tmp_path: Path
) -> None:
    def trained(name: str, weight: float) -> Path:
        settings = SFT.model_copy(update={"projection": weight})
        run_sft(training(tiny_model, tmp_path / name), rows(tool()), settings, PROMPTS)
        return tmp_path / name

    # A weight that is 0 in float32 and none in the settings: the trainer with the penalty, and the one without.
    assert same(trained("zero", 1e-300), cloned)
    held = trained("held", 1e4)
    assert not same(held, cloned)

    # The first step is taken from where nothing has drifted: its loss is the plain one.
    assert log_of(held)[0]["projection_drift"] == pytest.approx(0, abs=1e-10)
    assert log_of(held)[0]["loss"] == pytest.approx(log_of(cloned)[0]["loss"], rel=1e-5)
    assert drifted(tiny_model, held) < 0.5 * drifted(tiny_model, cloned)


def drifted(base: Path, model: Path) -> float:
    """The penalty of a trained model on the prompts that the directions were found with."""
    renderer = training(base, base).renderer
    start, end = (
        [
            layer_states(load_model(str(one), "float32"), str(one), renderer, [p.messages for p in side], 8)
            for side in harmful_and_plain(PROMPTS)
        ]
        for one in (base, model)
    )
    directions = refusal_directions(*start)
    return projection_drift(torch.cat(end), directions, projections(torch.cat(start), directions)).item()


def test_adapters_are_read_through(tiny_model: Path, tmp_path: Path) -> None:
    given = training(tiny_model, tmp_path / "out", LORA)
    asked = [PROMPTS[0].messages]
    states = layer_states(trainable_model(given), "lora", given.renderer, asked, 8)
    assert torch.allclose(states, layer_states(load_model(str(tiny_model), "float32"), "m", given.renderer, asked, 8))


def test_what_the_penalty_needs_is_said_in_one_line() -> None:
    with pytest.raises(InputError, match="the refusal direction: there is no plain prompt to find it with; add some"):
        harmful_and_plain(PROMPTS[:3])
    assert [len(side) for side in harmful_and_plain(PROMPTS, most=2)] == [2, 2]
    with pytest.raises(ValueError, match="projection does not go with gradient_checkpointing"):
        SftSettings(projection=0.1, gradient_checkpointing=True)
    with pytest.raises(ValueError, match="projection does not go with benign_loss forward_kl"):
        SftSettings(projection=0.1, benign_loss="forward_kl")
