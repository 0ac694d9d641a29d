"""Loss falls on the model's own tokens and nowhere else; the order of rows is a fair one, and pads little."""

import math
from collections import Counter
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_rollouts import PROMPTS

from ascl.chat.dialects import DIALECTS
from ascl.chat.messages import Message, ToolCall, message_of
from ascl.chat.render import Renderer
from ascl.chat.turn import ParsedCall, Turn
from ascl.consult.rollout import advance, start
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.row import Row, native_row, split_row
from ascl.train.tokens import IGNORED, batch_order, encode_row

CONSULT = [Turn("", "Check the rules.", [ParsedCall(TOOL_NAME, {"query": "weapons"})]), Turn("No.", "They forbid it.")]
TWICE = [CONSULT[0], CONSULT[0], CONSULT[1]]
DIRECT = [Turn("Like this.", "Harmless.")]


def row_of(turns: list[Turn], tool: ConsultTool) -> Row:
    trajectory = start("p", with_rules("ascl", PROMPTS[0].messages, tool))
    for turn in turns:
        advance(trajectory, turn, tool)
    return native_row(trajectory, PROMPTS[0].kind, [tool.schema], "test", "test")


@pytest.fixture(scope="module")
def agent(renderer: Renderer) -> Renderer:
    """Qwen-Agent's text dialect, with the thought's markers as tokens of their own, as Qwen3 has them."""
    tokenizer = deepcopy(renderer.tokenizer)
    tokenizer.add_tokens(["<think>", "</think>"])
    return Renderer(tokenizer, DIALECTS["qwen_agent"])


def labelled(encoded: dict[str, list[int]], renderer: Renderer) -> list[str]:
    """The texts of the labelled stretches, in order."""
    ids, labels = encoded["input_ids"], encoded["labels"]
    assert len(ids) == len(labels)
    assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))
    stretches: list[list[int]] = []
    for i, label in enumerate(labels):
        if label != IGNORED and (i == 0 or labels[i - 1] == IGNORED):
            stretches.append([])
        if label != IGNORED:
            stretches[-1].append(label)
    return [renderer.tokenizer.decode(stretch) for stretch in stretches]


def turn_texts(turns: list[Turn]) -> list[str]:
    call = f'<tool_call>{{"name": "{TOOL_NAME}", "arguments": {{"query": "weapons"}}}}</tool_call>'
    return [f"<think>{t.thought}</think>\n{call if t.calls else t.content}<|im_end|>" for t in turns]


every_walk = pytest.mark.parametrize("turns", [DIRECT, CONSULT, TWICE], ids=["direct", "consult", "consult twice"])


@every_walk
def test_labels_are_the_model_turns_and_nothing_else(turns: list[Turn], tool: ConsultTool, renderer: Renderer) -> None:
    encoded = encode_row(row_of(turns, tool), renderer)
    assert labelled(encoded, renderer) == turn_texts(turns)
    text = renderer.tokenizer.decode(encoded["input_ids"])
    assert PROMPTS[0].text in text
    assert text.count("<tool_response>") == len(turns) - 1


@every_walk
def test_a_split_row_has_loss_on_its_last_turn_only(turns: list[Turn], tool: ConsultTool, agent: Renderer) -> None:
    parts, said = split_row(row_of(turns, tool)), []
    assert len(parts) == len(turns)
    for number, (part, turn) in enumerate(zip(parts, turns, strict=True)):
        encoded = encode_row(part, agent)
        call = f'✿FUNCTION✿: {TOOL_NAME}\n✿ARGS✿: {{"query": "weapons"}}'
        last = f"<think>\n{turn.thought}\n</think>\n\n{call if turn.calls else turn.content}<|im_end|>"
        assert labelled(encoded, agent) == [last]
        said.append(last)
        # Earlier turns are as Qwen-Agent rewrites them: no end of turn between the call and its result.
        text = agent.tokenizer.decode(encoded["input_ids"])
        assert text.count("\n✿RETURN✿: <think>") == number
        assert text.count("<|im_end|>") == 3  # system, user, and the one turn with loss
    assert labelled(encode_row(row_of(turns, tool), agent), agent) == said, "every model turn once"


def test_a_message_survives_its_template_form() -> None:
    call = ToolCall(id="call_1_0", name=TOOL_NAME, arguments={"query": "a", "top_k": 2})
    messages = [
        Message(role="user", content="How?"),
        Message(role="assistant", content="", reasoning_content="Check.", tool_calls=[call]),
        Message(role="tool", content="1. (9.0%) No.", tool_call_id="call_1_0"),
        Message(role="assistant", content="No.", reasoning_content=""),
    ]
    assert [message_of(message.for_template()) for message in messages] == messages


lengths = st.lists(st.integers(1, 500), min_size=1, max_size=120)


@settings(deadline=None)
@given(lengths, st.integers(1, 16), st.integers(1, 4), st.integers(0, 5))
def test_every_row_comes_once_an_epoch(lengths: list[int], batch_size: int, epochs: int, seed: int) -> None:
    order = batch_order(lengths, batch_size, epochs, seed)
    for epoch in range(epochs):
        assert sorted(order[epoch * len(lengths) : (epoch + 1) * len(lengths)]) == list(range(len(lengths)))
    assert len(order) == epochs * len(lengths)
    assert order == batch_order(lengths, batch_size, epochs, seed)


@settings(deadline=None)
@given(lengths, st.integers(1, 16), st.floats(0.01, 3.99), st.integers(0, 5))
def test_a_fraction_of_an_epoch_takes_its_share(lengths: list[int], batch_size: int, epochs: float, seed: int) -> None:
    order = batch_order(lengths, batch_size, epochs, seed)
    assert order
    assert abs(len(order) - epochs * len(lengths)) <= batch_size
    counts = Counter(order)
    assert all(math.floor(epochs) <= counts[i] <= math.ceil(epochs) for i in range(len(lengths)))


def test_seeds_and_epochs_differ() -> None:
    lengths = list(range(40))
    order = batch_order(lengths, 4, 2, seed=0)
    assert order[:40] != order[40:]
    assert order != batch_order(lengths, 4, 2, seed=1)


@settings(deadline=None)
@given(st.integers(1, 64), st.integers(1, 8), st.integers(1, 3), st.integers(0, 5))
def test_a_batch_holds_rows_of_similar_length(rows: int, batch_size: int, epochs: int, seed: int) -> None:
    # At most eight batches make one pool: every batch is a run of neighbours, but for those across an epoch's end.
    rows = min(rows, 8 * batch_size)
    order = batch_order(list(range(rows)), batch_size, epochs, seed)
    across = {epoch * rows // batch_size for epoch in range(1, epochs)} if rows % batch_size else set()
    for number, first in enumerate(range(0, len(order), batch_size)):
        batch = order[first : first + batch_size]
        skipped = -(first // rows * rows) % batch_size if number not in across else rows
        assert max(batch) - min(batch) < batch_size + skipped
