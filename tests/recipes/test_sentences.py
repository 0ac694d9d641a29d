"""Sentences by their numbers: what is pointed at is what stands there, to the letter."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.recipes.sentences import numbered, pointed_at, sentences

THOUGHT = "They want in. That may be a burglary!\nMaybe it is their own door. I explain it."


@given(st.text(alphabet=st.sampled_from("ab .!?\n\"')"), max_size=60))
@settings(deadline=None)
def test_sentences_put_together_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_each_sentence_has_its_number() -> None:
    assert numbered(THOUGHT).splitlines()[1:3] == ["2. That may be a burglary!", "3. Maybe it is their own door."]


FIRST, SECOND, THIRD, FOURTH = (
    "They want in. ",
    "That may be a burglary!\n",
    "Maybe it is their own door. ",
    "I explain it.",
)


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("1", FIRST), ("2.", SECOND), ("1, 4", FIRST + FOURTH), ("1-2", FIRST + SECOND), ("4, 4, 3", THIRD + FOURTH),
        ("Sentences 3 and 4", THIRD + FOURTH), ("1, 3-4", FIRST + THIRD + FOURTH),
        ("1, 2, and 4", FIRST + SECOND + FOURTH), ("none", ""), ("None.", ""), ("0", ""), ("5", None), ("3-2", None),
        ("1, 9", None), ("They want in.", None),
        ("", None), ("1 or 2", None), ("1,", None), ("0-2", None), (", ".join(["1"] * 500), None),
    ],
)  # fmt: skip
def test_what_is_pointed_at(reply: str, wanted: str | None) -> None:
    assert pointed_at(reply, THOUGHT) == (wanted if wanted is None else wanted.strip())


@given(st.sets(st.integers(1, 4), min_size=1))
def test_any_sentences_are_found_in_the_order_of_the_text(numbers: set[int]) -> None:
    found = pointed_at(", ".join(map(str, numbers)), THOUGHT)
    assert found == "".join(sentences(THOUGHT)[n - 1] for n in sorted(numbers)).strip()
