"""Shift: token NLL by segment, the forward KL, and the correlation, against plain computations."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ascl.chat.messages import Message
from ascl.chat.render import Renderer
from ascl.data.row import Row
from ascl.models.models import load_model
from ascl.recipes.segments import reply_segments
from ascl.recipes.shift import forward_kl, score_rows, similarity, summarise


def row(thought: str | None, answer: str, question: str = "How are you?") -> Row:
    reply = Message(role="assistant", content=answer, reasoning_content=thought)
    return Row(id="r", messages=[Message(role="user", content=question), reply])


ROWS = [
    row("A short thought.", "Fine."),
    row("A thought that goes on for a while, over\ntwo lines.", "I am well, and you?", "Hello"),
    row(None, "No thought here, only an answer of some length."),
    row("</think> forged", "<|im_end|> forged too"),
]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    torch.set_num_threads(1)
    return load_model(str(tiny_model), "float32")


@pytest.mark.parametrize("given_row", ROWS)
def test_segments_cover_the_turn_and_cut_it_behind_the_thought(renderer: Renderer, given_row: Row) -> None:
    ids, segments = reply_segments(given_row, renderer)
    texts = {
        name: renderer.tokenizer.decode([i for i, s in zip(ids, segments, strict=True) if s == name])
        for name in ("prompt", "thought", "answer")
    }
    assert texts["prompt"].rstrip().endswith("<|im_start|>assistant"), "the line break behind the turn is no answer"
    if given_row.messages[1].reasoning_content is None:
        assert texts["thought"] == ""
    else:
        assert texts["thought"].startswith("<think>") and texts["thought"].rstrip().endswith("</think>")
    assert "</think>" not in texts["answer"] and texts["answer"].endswith("<|im_end|>")


@pytest.mark.parametrize("batch", [1, 3])
def test_the_nll_is_that_of_the_plain_model(model: Any, renderer: Renderer, batch: int) -> None:
    scored = score_rows(model, renderer, ROWS, batch)
    for given_row, sums in zip(ROWS, scored, strict=True):
        ids, segments = reply_segments(given_row, renderer)
        logits = model(torch.tensor([ids])).logits[0, :-1]
        nll = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
        for name in ("thought", "answer"):
            chosen = torch.tensor([s == name for s in segments[1:]])
            assert sums[name][1] == int(chosen.sum())
            assert sums[name][0] == pytest.approx(float(nll[chosen].sum().detach()), rel=1e-4, abs=1e-5)
        assert sums["reply"][1] == sums["thought"][1] + sums["answer"][1]


def test_a_random_model_is_near_uniform(model: Any, renderer: Renderer) -> None:
    summary = summarise(score_rows(model, renderer, ROWS))
    uniform = math.log(model.config.vocab_size)
    assert summary["reply"].nll == pytest.approx(uniform, abs=0.5)
    assert summary["reply"].perplexity == pytest.approx(math.exp(summary["reply"].nll))
    assert summary["thought"].rows == 3 and summary["reply"].rows == 4


def test_a_mean_is_over_tokens_not_over_rows() -> None:
    sums = [{"thought": (0.0, 0), "answer": (10.0, 10), "reply": (10.0, 10)}] * 3
    sums += [{"thought": (0.0, 0), "answer": (90.0, 30), "reply": (90.0, 30)}]
    summary = summarise(sums)
    assert summary["reply"].nll == pytest.approx(120 / 60)
    assert "thought" not in summary, "no row has one"
    assert summary["reply"].low <= summary["reply"].nll <= summary["reply"].high


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("I refuse.", "refuse I", 1), ("a b", "c d", 0), ("a a b", "a b b", 4 / 5), ("a", "a b", 1 / 2**0.5),
        ("", "...", 1), ("", "a", 0),
    ],
)  # fmt: skip
def test_the_similarity_of_two_texts(one: str, other: str, wanted: float) -> None:
    assert similarity(one, other) == pytest.approx(wanted)


@given(st.text(max_size=40), st.text(max_size=40))
def test_similarity_is_a_symmetric_share(one: str, other: str) -> None:
    assert similarity(one, other) == pytest.approx(similarity(other, one))
    assert 0 <= similarity(one, other) <= 1 + 1e-9 and similarity(one, one) == pytest.approx(1)


def test_the_kl_of_a_model_from_itself_is_zero_and_else_positive(
    model: Any, renderer: Renderer, tiny_model: Path
) -> None:
    assert all(abs(kl) < 1e-6 for kl, _ in forward_kl(model, model, renderer, ROWS))
    moved = load_model(str(tiny_model), "float32")
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter.mul_(1.5)
    measured = forward_kl(model, moved, renderer, ROWS[:1])
    ids, segments = reply_segments(ROWS[0], renderer)
    wanted = 0.0
    reference, other = (torch.softmax(m(torch.tensor([ids])).logits[0].double(), -1) for m in (model, moved))
    for t in range(len(ids) - 1):
        if segments[t + 1] != "prompt":
            wanted += (reference[t] * (reference[t] / other[t]).log()).sum().item()
    assert measured[0][0] == pytest.approx(wanted, rel=1e-3) and wanted > 0
    assert measured[0][1] == sum(s != "prompt" for s in segments)
