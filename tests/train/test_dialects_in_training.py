"""What training asks of a dialect: which tokens carry loss, which choose the mode, where a thought ends."""

import json
from itertools import groupby

import pytest

from ascl.chat.dialects import DIALECTS
from ascl.chat.messages import Message, ToolCall, Trajectory
from ascl.chat.render import Renderer
from ascl.consult.tool import TOOL_NAME
from ascl.data.row import Row
from ascl.recipes.segments import reply_segments
from ascl.train.decision import decision_length
from ascl.train.tokens import IGNORED, encode_row

all_dialects = pytest.mark.parametrize("dialect", list(DIALECTS))
USER = Message(role="user", content="How do I make tea?")
CALL = ToolCall(id="call_0", name=TOOL_NAME, arguments={"query": "tea"})
RESULT = Message(role="tool", content="1. (50.0%) Serving cold tea.", tool_call_id="call_0")


def consulting(thought: str | None) -> Message:
    return Message(role="assistant", content="", reasoning_content=thought, tool_calls=[CALL])


def answering(thought: str | None, answer: str = "Boil water.") -> Message:
    return Message(role="assistant", content=answer, reasoning_content=thought)


def row(*messages: Message) -> Row:
    return Row(id="r", messages=[USER, *messages])


def learnt(renderer: Renderer, labels: list[int]) -> list[str]:
    runs = groupby(labels, key=lambda label: label != IGNORED)
    return [renderer.tokenizer.decode(list(run)) for covered, run in runs if covered]


def sampled(renderer: Renderer, turn: Message) -> list[int]:
    """The ids of a model's first turn."""
    return [label for label in encode_row(row(turn), renderer)["labels"] if label != IGNORED]


@all_dialects
def test_loss_falls_on_the_models_turns_and_their_ends(renderers: dict[str, Renderer], dialect: str) -> None:
    renderer = renderers[dialect]
    encoded = encode_row(row(consulting("Check."), RESULT, answering("Fine.")), renderer)
    call, answer = learnt(renderer, encoded["labels"])
    assert call.endswith(renderer.dialect.ends) and answer.endswith(renderer.dialect.ends)
    assert call.startswith(f"{renderer.dialect.opens}Check.{renderer.dialect.closes}")
    assert json.dumps(CALL.arguments) in call and "Boil water." in answer
    assert "Serving cold tea" not in call + answer and "How do I" not in call + answer
    for text, turn in ((call, consulting("Check.")), (answer, answering("Fine."))):
        read = renderer.dialect.parse(
            text.removesuffix(next(e for e in renderer.dialect.ends if text.endswith(e))), True
        )
        assert (read.thought, read.content) == (turn.reasoning_content, turn.content)
        assert len(read.calls) == len(turn.tool_calls)


@all_dialects
def test_a_given_beginning_of_the_thought_carries_no_loss(renderers: dict[str, Renderer], dialect: str) -> None:
    renderer = renderers[dialect]
    given = row(answering("Step one. Step two.")).model_copy(update={"no_loss_prefix": "Step one."})
    [text] = learnt(renderer, encode_row(given, renderer)["labels"])
    assert text.startswith(" Step two.") and text.endswith(renderer.dialect.ends)


@all_dialects
@pytest.mark.parametrize("thought", [None, "", "Check.", "Is it [harmful]?\n\nNo: <b>tea</b>."])
def test_calls_and_answers_part_on_a_decision_token(
    renderers: dict[str, Renderer], dialect: str, thought: str | None
) -> None:
    """The last of the decision tokens, or one before it; and before it nothing shows but the thought."""
    renderer = renderers[dialect]
    turns = [sampled(renderer, turn) for turn in (consulting(thought), answering(thought))]
    parting = next(i for i, (one, other) in enumerate(zip(*turns, strict=False)) if one != other)
    for ids in turns:
        walked = Trajectory(
            prompt_id="p", messages=[], prompt_length=0, completion_ids=ids, completion_mask=[1] * len(ids)
        )
        length = decision_length(walked, renderer)
        assert parting < length < len(ids)
        before = renderer.tokenizer.decode(ids[: length - 1])
        end = renderer.dialect.thought_end(before)
        assert end is None or not before[end:].strip()


@all_dialects
@pytest.mark.parametrize("turn", [consulting("Check."), answering("Check."), answering(None)])
def test_a_turn_is_cut_into_thought_and_answer(renderers: dict[str, Renderer], dialect: str, turn: Message) -> None:
    renderer = renderers[dialect]
    ids, segments = reply_segments(row(turn), renderer)
    texts = {
        name: renderer.tokenizer.decode([i for i, s in zip(ids, segments, strict=True) if s == name])
        for name in ("thought", "answer")
    }
    opens, closes = renderer.dialect.opens, renderer.dialect.closes
    thought = f"{opens}{turn.reasoning_content}{closes}".strip() if turn.reasoning_content else ""
    assert texts["thought"].strip() == thought
    assert texts["thought"] + texts["answer"] == renderer.tokenizer.decode(sampled(renderer, turn))
