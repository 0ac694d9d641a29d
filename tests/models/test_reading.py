"""Contexts that are read together give the scores, and the cache, that each gives alone."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.models.models import load_model
from ascl.models.reading import LEAST, read, shared_length


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> torch.nn.Module:
    """A random model."""
    return load_model(str(tiny_model), "float32").eval()


BEGINNINGS = [[(7 * n + 3 * i) % 500 for i in range(size)] for n, size in enumerate((0, 12, LEAST, LEAST + 40, 200))]


@given(
    st.lists(
        st.tuples(st.sampled_from(BEGINNINGS), st.lists(st.integers(0, 500), min_size=1, max_size=30)),
        min_size=1,
        max_size=9,
    )
)
@settings(max_examples=40, deadline=None)
def test_a_context_gives_the_same_scores_whoever_is_read_with_it(
    model: torch.nn.Module, parts: list[tuple[list[int], list[int]]]
) -> None:
    contexts = [beginning + rest for beginning, rest in parts]
    with torch.no_grad():
        scores, cache, mask = read(model, contexts, filler=1)
        following = model(
            input_ids=torch.full((len(contexts), 1), 5),
            attention_mask=torch.cat([mask, mask.new_ones(len(contexts), 1)], dim=1),
            position_ids=mask.sum(dim=1, keepdim=True),
            past_key_values=cache,
        ).logits[:, -1]
        for row, context in enumerate(contexts):
            alone = model(torch.tensor([[*context, 5]])).logits[0]
            torch.testing.assert_close(scores[row], alone[-2], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(following[row], alone[-1], atol=1e-4, rtol=1e-4)
            assert int(mask[row].sum()) == len(context)


def test_what_contexts_share_goes_through_the_model_once(model: torch.nn.Module) -> None:
    seen: list[int] = []
    hook = model.get_input_embeddings().register_forward_hook(lambda _m, args, _o: seen.append(args[0].numel()))
    system = [i % 400 for i in range(150)]
    contexts = [[*system, 401], [*system, 402], [*system, 402], [*range(1, 91)]]
    with torch.no_grad():
        read(model, contexts, filler=1)
    hook.remove()
    assert sum(seen) == 150 + 2 + 90


def test_each_group_of_contexts_is_read_with_all_that_it_shares(model: torch.nn.Module) -> None:
    seen: list[int] = []
    hook = model.get_input_embeddings().register_forward_hook(lambda _m, args, _o: seen.append(args[0].numel()))
    system = [i % 400 for i in range(80)]
    groups = [[*system, 401 + n, *range(n, n + 99)] for n in range(3)]  # each with a prompt of a hundred ids of its own
    with torch.no_grad():
        read(model, [[*group, 410 + n] for group in groups for n in range(8)], filler=1)
    hook.remove()
    assert sum(seen) == 3 * (180 + 8)


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_shared_length(first: list[int], second: list[int]) -> None:
    length = shared_length(first, second)
    assert first[:length] == second[:length]
    assert length in (len(first), len(second)) or first[length] != second[length]
