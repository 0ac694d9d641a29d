"""A prompt: what it must hold, and the split its id gives it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ascl.chat.messages import Message
from ascl.data.load import question
from ascl.data.prompt import Kind, Prompt, split_of


def prompt(**fields: object) -> Prompt:
    return Prompt.model_validate({"id": "p", "messages": [{"role": "user", "content": "Hi"}], "kind": "plain"} | fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": ""}, "at least 1 character"),
        ({"messages": []}, "at least 1 item"),
        ({"messages": [{"role": "user", "content": " \n"}]}, "must hold text"),
        ({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}, "user's"),
        ({"kind": "rude"}, "harmful"),
        ({"kind": "reasoning"}, "needs an `answer`"),
        ({"kind": "reasoning", "options": ["x", "y"], "answer": "C"}, "letter of one of the `options`"),
        ({"kind": "reasoning", "options": ["x", "y"], "answer": "x"}, "letter of one of the `options`"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_what_a_prompt_must_hold(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        prompt(**fields)


def test_text_is_the_last_user_message() -> None:
    turns = [("system", "Be kind."), ("user", "One?"), ("assistant", "1"), ("user", "Two?")]
    assert prompt(messages=[Message(role=r, content=c) for r, c in turns]).text == "Two?"  # type: ignore[arg-type]


def test_the_question_lists_the_options_and_leaves_the_prompt_alone() -> None:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Which?"}]
    one = prompt(messages=turns, kind="reasoning", options=["red", "blue"], answer="B")
    asked = question(one)
    assert asked[0] == one.messages[0]
    assert asked[1].content == "Which?\nA. red\nB. blue\nEnd with `Answer: ` and the letter."
    assert one.text == "Which?"
    assert question(prompt()) == prompt().messages


@given(st.text(min_size=1, max_size=20), st.sampled_from(Kind), st.text(min_size=1).filter(str.strip))
@settings(deadline=None)
def test_split_depends_on_the_id_alone(identity: str, kind: Kind, text: str) -> None:
    one = prompt(id=identity)
    other = prompt(id=identity, kind=kind, answer="1", messages=[{"role": "user", "content": text}], source="x")
    assert split_of(one) == split_of(other)
    assert split_of(one.model_copy(update={"split": "test"})) == "test"
    assert split_of(one.model_copy(update={"split": "train"})) == "train"


def test_split_is_the_same_on_every_machine() -> None:
    found = "".join(split_of(prompt(id=f"prompt-{i}"))[1] for i in range(12))
    assert found == "rrrrreerrrrr"


@given(st.integers(0, 10**9), st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]))
@settings(deadline=None, max_examples=20)
def test_the_share_of_test_prompts_is_near_the_one_asked_for(first: int, share: float) -> None:
    n, one = 1000, prompt()
    ids = [f"{first}-{i}" for i in range(n)]
    found = sum(split_of(one.model_copy(update={"id": i}), share) == "test" for i in ids) / n
    assert abs(found - share) <= 6 * (share * (1 - share) / n) ** 0.5  # six standard deviations
