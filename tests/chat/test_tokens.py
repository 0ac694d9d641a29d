"""The ids a rollout trains on are those of its rendered messages, and the mask covers the model's own tokens."""

from itertools import groupby

from conversations import Script, ScriptedClient, assistant, hostile, scripts, solid
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from ascl.chat.dialects import DIALECTS
from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.chat.render import Renderer

SETTINGS = settings(max_examples=40, deadline=None)
DIALECT = st.sampled_from(sorted(DIALECTS))


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
    assert all(span.endswith(renderer.dialect.end_of_turn) for span in spans)
    assert trajectory.tokens == sum(mask)


@SETTINGS
@given(DIALECT, scripts(solid))
def test_rollout_ids_are_those_of_the_messages(renderers: dict[str, Renderer], dialect: str, script: Script) -> None:
    trajectory, client = script.play(renderers[dialect])
    assert len(client.spoken) == len(script.turns)
    assert trajectory.stop is StopReason.ANSWERED
    check(renderers[dialect], trajectory, client)


@SETTINGS
@given(DIALECT, scripts(hostile.filter(str.strip)))
def test_rollout_ids_are_those_of_hostile_messages(
    renderers: dict[str, Renderer], dialect: str, script: Script
) -> None:
    trajectory, client = script.play(renderers[dialect])
    assert len(client.spoken) == len(script.turns)
    assert trajectory.stop is StopReason.ANSWERED
    check(renderers[dialect], trajectory, client)
