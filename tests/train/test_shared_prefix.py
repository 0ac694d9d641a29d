"""What rows share is read once, and nothing but the time changes: hidden states, gradients, a whole training step."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.models.models import load_model
from ascl.train.shared_prefix import LEAST, common_places, share_prefixes


@pytest.fixture(scope="module")
def models(tiny_model: Path) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The same random model twice; the second shares."""
    plain, sharing = (load_model(str(tiny_model), "float32", for_training=True).train() for _ in range(2))
    share_prefixes(sharing)
    return plain, sharing


def batch(left: int, shared: int, rests: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows [B, T] that begin alike, with filling on the left and on the right, and their mask."""
    width = max(map(len, rests))
    beginning = [(5 * i) % 400 for i in range(shared)]
    ids = [[1] * left + beginning + rest + [1] * (width - len(rest)) for rest in rests]
    mask = [[0] * left + [1] * (shared + len(rest)) + [0] * (width - len(rest)) for rest in rests]
    return torch.tensor(ids), torch.tensor(mask)


def loss_of(model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor, first: int) -> torch.Tensor:
    """A loss on every kept place from `first` on; the gradients are left in the model."""
    model.zero_grad()
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :first] = -100
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
    loss.backward()
    return loss


@given(
    st.integers(0, 9),
    st.sampled_from([0, LEAST - 1, LEAST, 100]),
    st.lists(st.lists(st.integers(2, 400), min_size=2, max_size=20), min_size=1, max_size=6),
    st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_the_loss_and_its_gradients_are_the_same(
    models: tuple[torch.nn.Module, torch.nn.Module], left: int, shared: int, rests: list[list[int]], inside: bool
) -> None:
    ids, mask = batch(left, shared, rests)
    first = left + 1 if inside else left + shared + 1  # inside: what is shared carries loss as well
    plain, sharing = (loss_of(model, ids, mask, first) for model in models)
    torch.testing.assert_close(sharing, plain, atol=1e-5, rtol=1e-5)
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, atol=1e-5, rtol=1e-3)


def test_what_is_shared_goes_through_the_model_once(models: tuple[torch.nn.Module, torch.nn.Module]) -> None:
    _, sharing = models
    seen: list[int] = []
    hook = sharing.get_input_embeddings().register_forward_hook(lambda _m, args, _o: seen.append(args[0].numel()))
    loss_of(sharing, *batch(left=3, shared=80, rests=[[2, 3], [3, 4], [4, 5, 6]]), first=83)
    hook.remove()
    assert sum(seen) == 80 + 3 * 3


def test_common_places_leave_the_last_one_and_the_filling() -> None:
    assert common_places(*batch(2, 5, [[7, 8], [7, 9]])) == (2, 8)
    assert common_places(*batch(0, 5, [[7, 8], [7, 8]])) == (0, 6)
    assert common_places(*batch(3, 5, [[7, 8]])) == (3, 3)
    ids, mask = batch(0, 4, [[7, 8], [7, 9]])
    mask[1, 0] = 0  # one row is filled further
    assert common_places(ids, mask) == (0, 0)
