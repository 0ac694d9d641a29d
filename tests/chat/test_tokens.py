"""The ids a rollout trains on are those of its rendered messages, and the mask covers the model's own tokens."""

from itertools import groupby

import pytest
from conversations import Script, ScriptedClient, assistant, hostile, scripts, solid, turn_text
from hypothesis import given, settings

from ascl.chat.dialects import DIALECTS
from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.chat.render import Renderer

all_dialects = pytest.mark.parametrize("dialect", list(DIALECTS))
USER = Message(role="user", content="How do I make tea?")
RESULT = Message(role="tool", content="1. (50.0%) Serving cold tea.", tool_call_id="call_0")
CONSULT = [USER, assistant("", "Check.", {"query": "tea"}), RESULT, assistant("Boil water.", "Fine.")]


def masked_spans(renderer: Renderer, ids: list[int], mask: list[int]) -> list[str]:
    """The texts of the runs of tokens the mask covers."""
    groups = groupby(zip(ids, mask, strict=True), key=lambda pair: pair[1])
    return [renderer.tokenizer.decode([i for i, _ in pairs]) for covered, pairs in groups if covered]


def check(renderer: Renderer, trajectory: Trajectory, client: ScriptedClient) -> None:
    ids = trajectory.prompt_ids + trajectory.completion_ids
    mask = [0] * len(trajectory.prompt_ids) + trajectory.completion_mask
    encoded, encoded_mask = renderer.encode(trajectory.messages, client.tools)
    assert encoded[: len(ids)] == ids
    assert encoded_mask[: len(ids)] == mask
    assert renderer.tokenizer.decode(encoded[len(ids) :]).strip() == ""
    assert not any(encoded_mask[len(ids) :])
    spans = masked_spans(renderer, ids, mask)
    assert spans == [renderer.tokenizer.decode(renderer.ids(written)) for written in client.spoken]
    assert all(span.endswith(renderer.dialect.ends) for span in spans)
    assert trajectory.tokens == sum(mask)


@all_dialects
@settings(max_examples=50, deadline=None)
@given(script=scripts(solid) | scripts(hostile.filter(str.strip)))
def test_rollout_ids_are_those_of_the_messages(renderers: dict[str, Renderer], dialect: str, script: Script) -> None:
    trajectory, client = script.play(renderers[dialect])
    assert trajectory.stop is StopReason.ANSWERED
    assert len(client.spoken) == len(script.turns)
    check(renderers[dialect], trajectory, client)


@all_dialects
def test_the_mask_covers_every_model_turn_and_nothing_else(renderers: dict[str, Renderer], dialect: str) -> None:
    renderer = renderers[dialect]
    ids, mask = renderer.encode(CONSULT, [])
    assert masked_spans(renderer, ids, mask) == [turn_text(renderer, CONSULT[1]), turn_text(renderer, CONSULT[3])]
    assert "Serving cold tea" in renderer.tokenizer.decode([i for i, m in zip(ids, mask, strict=True) if not m])


@all_dialects
def test_the_encoded_text_is_the_rendered_text(renderers: dict[str, Renderer], dialect: str) -> None:
    renderer = renderers[dialect]
    ids, _ = renderer.encode(CONSULT, [])
    assert renderer.tokenizer.decode(ids) == renderer.text(CONSULT, [], generation_prompt=False)


def test_the_split_form_drops_the_end_of_a_calling_turn(renderers: dict[str, Renderer]) -> None:
    """Qwen-Agent appends the result to the calling turn; only the last turn, whole, is trained on."""
    renderer = renderers["qwen_agent"]
    ids, mask = renderer.encode(CONSULT, [], rewrite=True)
    call, answer = masked_spans(renderer, ids, mask)
    assert call + "<|im_end|>" == turn_text(renderer, CONSULT[1])
    assert answer == turn_text(renderer, CONSULT[3])
    assert "}\n✿RESULT✿: 1. (50.0%)" in renderer.tokenizer.decode(ids)
