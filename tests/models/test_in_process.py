"""The transformers client with a tiny random model: greedy and seeded sampling, budgets, side effects."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.chat.render import Renderer
from ascl.chat.turn import Turn
from ascl.consult.rollout import rollout, start
from ascl.models.in_process import InProcessClient, _draw
from ascl.models.models import load_model, load_renderer
from ascl.models.sampling import Sampling

TEXTS = ["Hi", "How do I make a good cup of tea for a guest who does not like it?", "Name a colour.", "2 + 2 = ?"]
GREEDY = Sampling(max_tokens=8)
WARM = Sampling(max_tokens=8, temperature=1.0, seed=3)


@pytest.fixture(scope="module")
def client(tiny_model: Path) -> InProcessClient:
    return InProcessClient(load_model(str(tiny_model), "float32"), load_renderer(str(tiny_model)))


@pytest.fixture
def eager_to_stop(client: InProcessClient) -> Any:
    """The client with a model that ends its turn at once."""
    end = client.renderer.tokenizer.convert_tokens_to_ids("<|im_end|>")
    head = client.model.get_output_embeddings()
    hook = head.register_forward_hook(lambda _m, _i, scores: scores.index_fill(-1, torch.tensor([end]), 1e4))
    yield client
    hook.remove()


def walk(client: InProcessClient, texts: list[str], sampling: Sampling) -> list[Trajectory]:
    batch = [start(str(i), [Message(role="user", content=text)]) for i, text in enumerate(texts)]
    return rollout(client, batch, None, sampling, max_turns=1)


def sampled(client: InProcessClient, texts: list[str], sampling: Sampling) -> list[list[int]]:
    return [trajectory.completion_ids for trajectory in walk(client, texts, sampling)]


def test_greedy_takes_the_likeliest_token_each_time(client: InProcessClient) -> None:
    """The reference: one prompt at a time, no cache, argmax."""
    for text, ids in zip(TEXTS[:2], sampled(client, TEXTS[:2], GREEDY), strict=True):
        context = client.renderer.prompt_ids([Message(role="user", content=text)], [])
        with torch.no_grad():
            for token in ids:
                scores = client.model(torch.tensor([context])).logits[0, -1]
                assert scores[token] >= scores.max() - 1e-4
                context = [*context, token]


def test_greedy_is_the_same_every_time_and_whatever_the_seed(client: InProcessClient) -> None:
    first = sampled(client, TEXTS, GREEDY)
    assert sampled(client, TEXTS, GREEDY.model_copy(update={"seed": 9})) == first
    assert [sampled(client, [text], GREEDY)[0] for text in TEXTS] == first, "padding does not matter"


def test_the_seed_decides_what_is_sampled(client: InProcessClient) -> None:
    first = sampled(client, TEXTS, WARM)
    torch.manual_seed(123)
    torch.rand(7)
    before = torch.get_rng_state()
    assert sampled(client, TEXTS, WARM) == first
    assert torch.equal(torch.get_rng_state(), before), "the random state of the process is left alone"
    assert sampled(client, TEXTS, WARM.model_copy(update={"seed": 4})) != first
    same = sampled(client, [TEXTS[0]] * 4, WARM)
    assert len(set(map(tuple, same))) > 1, "rows of a batch are drawn apart"


def test_any_token_of_the_dialect_may_end_a_turn(client: InProcessClient) -> None:
    """gpt-oss has one for answers and one for calls; each ends its row alone."""
    tokenizer = deepcopy(client.renderer.tokenizer)
    free = sampled(client, TEXTS, GREEDY)
    ends = tuple(tokenizer.convert_ids_to_tokens([free[0][2], free[1][4]]))
    stopping = Renderer(tokenizer, replace(client.renderer.dialect, ends=ends))
    assert stopping.end_ids == [free[0][2], free[1][4]]
    contexts = [client.renderer.prompt_ids([Message(role="user", content=text)], []) for text in TEXTS]
    for row, whole in zip(InProcessClient(client.model, stopping)._generate(contexts, GREEDY), free, strict=True):
        cut = next((i + 1 for i, token in enumerate(whole) if token in stopping.end_ids), len(whole))
        assert row == whole[:cut]
        assert stopping.parse_ids(row)[1] == (row[-1] in stopping.end_ids)


def test_a_cold_temperature_is_greedy(client: InProcessClient) -> None:
    cold = WARM.model_copy(update={"temperature": 1e-6})
    assert sampled(client, TEXTS, cold) == sampled(client, TEXTS, GREEDY)
    assert sampled(client, TEXTS, WARM.model_copy(update={"top_p": 1e-9})) == sampled(client, TEXTS, GREEDY)


@pytest.mark.parametrize("training", [True, False])
def test_the_training_mode_is_left_alone(client: InProcessClient, training: bool) -> None:
    head = client.model.get_output_embeddings()
    client.model.train(training)
    try:
        sampled(client, TEXTS, WARM)
        assert client.model.training is training
        assert not head._forward_pre_hooks
        with pytest.raises(IndexError):  # a token the model has no embedding for
            client._generate([[10**6]], WARM)
        assert client.model.training is training
        assert not head._forward_pre_hooks
        assert all(p.grad is None for p in client.model.parameters())
    finally:
        client.model.eval()


def test_sampling_in_training_mode_is_sampling_without_dropout(tiny_model: Path) -> None:
    model = load_model(str(tiny_model), "float32")
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.9
    client = InProcessClient(model, load_renderer(str(tiny_model)))
    model.eval()
    expected = sampled(client, TEXTS, WARM)
    model.train()
    assert sampled(client, TEXTS, WARM) == expected


def test_the_models_own_generation_settings_do_not_count(tiny_model: Path) -> None:
    """A base model may bring a repetition penalty along (Qwen2.5 does): RL must sample from the plain distribution."""
    model = load_model(str(tiny_model), "float32")
    client = InProcessClient(model, load_renderer(str(tiny_model)))
    plain = [sampled(client, TEXTS, sampling) for sampling in (GREEDY, WARM)]
    own = model.generation_config
    own.update(repetition_penalty=5.0, no_repeat_ngram_size=1, min_length=500, num_beams=2, temperature=0.1, top_k=1)
    own.update(do_sample=True, top_p=0.1, max_length=3, max_new_tokens=2)
    assert [sampled(client, TEXTS, sampling) for sampling in (GREEDY, WARM)] == plain
    assert model.generation_config is own


def test_a_turn_the_budget_cut(client: InProcessClient) -> None:
    for trajectory in walk(client, TEXTS, GREEDY):
        assert trajectory.stop in (StopReason.LENGTH, StopReason.MALFORMED, StopReason.TRUNCATED)
        assert len(trajectory.completion_ids) == trajectory.tokens == 8
        assert trajectory.completion_mask == [1] * 8
        text = client.renderer.tokenizer.decode(trajectory.completion_ids)
        assert "<|im_end|>" not in text
        assert trajectory.messages[-1].content == text.strip()


def test_a_turn_the_model_ended(eager_to_stop: InProcessClient) -> None:
    for trajectory in walk(eager_to_stop, TEXTS, GREEDY):
        assert trajectory.stop is StopReason.EMPTY
        assert eager_to_stop.renderer.tokenizer.decode(trajectory.completion_ids) == "<|im_end|>"
        assert (trajectory.completion_mask, trajectory.tokens) == ([1], 1)


def test_rows_that_end_early_carry_no_padding(client: InProcessClient) -> None:
    """One row ends at once, its neighbours go on to the budget."""
    end = client.renderer.tokenizer.convert_tokens_to_ids("<|im_end|>")

    def one_row_ends(_module: Any, _inputs: Any, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.clone()
        scores[:, :, end] = -1e4
        if len(scores) == len(TEXTS):  # the first step; the row that ended leaves the batch
            scores[0, :, end] = 1e4
        return scores

    hook = client.model.get_output_embeddings().register_forward_hook(one_row_ends)
    try:
        short, *long = sorted(sampled(client, TEXTS, WARM), key=len)
    finally:
        hook.remove()
    assert short == [end]
    assert [len(ids) for ids in long] == [8, 8, 8]


def test_a_second_turn_goes_on_from_the_sampled_ids(client: InProcessClient) -> None:
    """What was sampled is never tokenised again: the second context begins with the first turn's ids as they were."""
    trajectory = start("p", [Message(role="user", content="Hi")])
    [turn] = client.complete([trajectory], [], GREEDY)
    assert isinstance(turn, Turn)
    assert (turn.tokens, turn.ended) == (8, False)
    assert len(trajectory.messages) == 1, "the loop writes the message"
    assert trajectory.prompt_ids == client.renderer.prompt_ids(trajectory.messages, [])
    end = client.renderer.tokenizer.convert_tokens_to_ids("<|im_end|>")
    trajectory.completion_ids[-1] = end  # as if the model had ended its turn here
    first = list(trajectory.completion_ids)
    trajectory.messages.append(Message(role="assistant", content=turn.content))
    trajectory.messages.append(Message(role="tool", content="a result", tool_call_id="c"))
    client.complete([trajectory], [], GREEDY)
    ids, mask = trajectory.completion_ids, trajectory.completion_mask
    suffix = client.renderer.ids(
        "\n<|im_start|>tool\n<tool_response>\na result\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
    )
    assert ids[:8] == first
    assert ids[8:-8] == suffix
    assert mask == [1] * 8 + [0] * len(suffix) + [1] * 8


# The sampling itself, on a small vocabulary.

SCORES = torch.log(torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05, 0.0]))
CRITICAL = {1: 15.1, 2: 18.4, 3: 21.1, 4: 23.5}  # chi-square, p = 1e-4


def draws(sampling: Sampling, scores: torch.Tensor = SCORES, count: int = 20_000) -> torch.Tensor:
    """How often each token is drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(sampling.seed)
        chosen = _draw(scores.expand(count, -1).clone(), sampling)
    assert chosen.shape == (count,)
    return torch.bincount(chosen, minlength=scores.shape[-1])


def assert_distributed(counts: torch.Tensor, expected: torch.Tensor) -> None:
    possible = expected > 0
    assert counts[~possible].sum() == 0
    wanted = expected[possible] * counts.sum()
    statistic = ((counts[possible] - wanted) ** 2 / wanted).sum()
    assert statistic < CRITICAL[int(possible.sum()) - 1]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_temperature_shapes_the_distribution(temperature: float, seed: int) -> None:
    counts = draws(Sampling(temperature=temperature, seed=seed))
    assert_distributed(counts, torch.softmax(SCORES / temperature, dim=-1))


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.35, 1), (0.4001, 2), (0.6, 2), (0.71, 3), (0.9, 4), (0.97, 5), (0.0001, 1)]
)
def test_top_p_keeps_the_smallest_set_that_reaches_it(top_p: float, kept: int) -> None:
    shuffled = torch.tensor([3, 0, 5, 2, 4, 1])
    counts = draws(Sampling(temperature=1.0, top_p=top_p), SCORES[shuffled])
    expected = torch.exp(SCORES)
    expected[kept:] = 0.0
    if kept == 1:
        assert counts[shuffled == 0] == counts.sum()
    else:
        assert_distributed(counts, (expected / expected.sum())[shuffled])


def test_top_p_is_taken_after_the_temperature() -> None:
    sampling = Sampling(temperature=0.25, top_p=0.7)  # 0.4^4 : 0.3^4 = 0.74 : 0.23
    assert draws(sampling)[0] == 20_000


def test_half_precision_scores_are_drawn_in_full_precision() -> None:
    """1024 equal tokens: in bfloat16 the cumulative distribution would stall at a quarter."""
    counts = draws(Sampling(temperature=1.0), torch.zeros(1024, dtype=torch.bfloat16), count=8_000)
    halves = counts.view(2, -1).sum(dim=-1)
    assert (counts > 0).sum() > 1000
    assert abs(int(halves[0] - halves[1])) < 450
