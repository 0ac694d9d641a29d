"""The tokens that choose the mode: the first thought and what follows it, as the tokenizer cuts them."""

from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_rollouts import LOOK_UP

from ascl.chat.messages import Message, Trajectory
from ascl.chat.render import Renderer
from ascl.train.decision import decision_length

END = "<|im_end|>"
thoughts = st.text(st.characters(codec="ascii", min_codepoint=32) | st.just("\n"), max_size=40).filter(
    lambda text: "<" not in text and ">" not in text
)
answers = st.text(st.characters(codec="ascii", min_codepoint=32, exclude_characters="<>"), max_size=30)
checked = settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # the renderer does not change


@pytest.fixture(params=["thought marks as text", "thought marks as tokens"])
def either(renderer: Renderer, request: pytest.FixtureRequest) -> Renderer:
    """SmolLM2 spells its thought's marks with several tokens, Qwen3 has a token for each."""
    if request.param == "thought marks as text":
        return renderer
    tokenizer = deepcopy(renderer.tokenizer)
    tokenizer.add_tokens(["<think>", "</think>", "<tool_call>", "</tool_call>"])
    return Renderer(tokenizer, renderer.dialect)


def said(renderer: Renderer, *turns: str) -> Trajectory:
    """A trajectory whose model turns have these texts, with a tool's tokens (mask 0) between them."""
    trajectory = Trajectory(prompt_id="p", messages=[Message(role="user", content="?")], prompt_length=1)
    for i, turn in enumerate(turns):
        between = renderer.ids("\nrule 1: do no harm\n") if i else []
        ids = renderer.ids(turn)
        trajectory.completion_ids += between + ids
        trajectory.completion_mask += [0] * len(between) + [1] * len(ids)
    return trajectory


def choosing(renderer: Renderer, *turns: str) -> tuple[str, str]:
    """The text of the decision tokens, and the same without the last one."""
    trajectory = said(renderer, *turns)
    ids = trajectory.completion_ids[: decision_length(trajectory, renderer)]
    return renderer.tokenizer.decode(ids), renderer.tokenizer.decode(ids[:-1])


@checked
@given(thought=thoughts, answer=answers, blank=st.sampled_from(["", "\n", "\n\n", " \n "]))
def test_the_thought_and_one_token_behind_it(either: Renderer, thought: str, answer: str, blank: str) -> None:
    text, before = choosing(either, f"<think>{thought}</think>{blank}{answer}{END}")
    assert text.partition("</think>")[2].strip()
    assert not before.partition("</think>")[2].strip()


@checked
@given(thought=thoughts, answer=answers)
def test_a_call_and_an_answer_behind_one_thought_part_on_a_decision_token(
    either: Renderer, thought: str, answer: str
) -> None:
    consulting = said(either, f"<think>{thought}</think>\n{LOOK_UP}{END}")
    direct = said(either, f"<think>{thought}</think>\n{answer}{END}")
    pairs = zip(consulting.completion_ids, direct.completion_ids, strict=False)
    parting = next(i for i, (one, other) in enumerate(pairs) if one != other)
    assert parting < decision_length(consulting, either)
    assert parting < decision_length(direct, either)


@checked
@given(answer=answers.filter(str.strip))
def test_without_a_thought_the_first_token_that_is_not_blank_chooses(either: Renderer, answer: str) -> None:
    text, before = choosing(either, f"{answer}{END}")
    assert text.strip()
    assert not before.strip()


def test_a_call_without_a_thought(either: Renderer) -> None:
    text, _ = choosing(either, LOOK_UP + END)
    assert "<tool_call>".startswith(text[:2])
    assert len(text) <= len("<tool_call>")


def test_an_open_thought_chooses_as_a_whole(either: Renderer) -> None:
    assert choosing(either, f"<think>Hm.</think>\n{END}")[0].endswith(END), "the turn may end behind the thought"
    assert decision_length(said(either), either) == 0, "no tokens choose nothing"
    for open_thought in ("<think>Let me see. <tool_call>", "<thi", "   \n"):
        trajectory = said(either, open_thought)
        assert decision_length(trajectory, either) == len(trajectory.completion_ids)


def test_only_the_first_turn_counts(either: Renderer) -> None:
    first = f"<think>Check.</think>\n{LOOK_UP}{END}"
    assert choosing(either, first, f"<think>No.</think>\nNo.{END}") == choosing(either, first)
    assert choosing(either, "<think>never closed", "</think>Yes")[0] == "<think>never closed"
