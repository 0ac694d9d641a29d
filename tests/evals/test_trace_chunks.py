"""Micro-thoughts: what is cut, what is not, and that nothing is lost, whatever the thought holds."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.evals.traces.chunks import chunk

WORDS = ["I", "must", "refuse", "Wait", "but", "so", "let me", "e.g.", "3.5", "U.S.", "1.", "-", "。", "好的"]
FENCES = ["```", "```py", "~~~"]
SIGNS = [*".,;:!?…\"')]}*— \n\t\x00\x85\u200b\ud800", "  ", "\n\n"]
PIECES = st.sampled_from(WORDS + FENCES + SIGNS)
THOUGHTS = st.text(st.characters(exclude_categories=()), max_size=80) | st.lists(PIECES, max_size=60).map("".join)


@given(THOUGHTS)
@settings(deadline=None, max_examples=400)
def test_joined_chunks_are_the_thought_and_each_says_something(thought: str) -> None:
    chunks = chunk(thought)
    assert "".join(chunks) == thought
    assert all(chunks)
    if re.search(r"\w", thought):
        assert all(re.search(r"\w", piece) for piece in chunks)
    else:
        assert len(chunks) <= 1


PROSE = st.lists(
    st.sampled_from(["I", "see", "it.", "So", "no,", "but", "e.g.", "2.", "why?"]), min_size=2, max_size=20
)


@given(PROSE, PROSE)
@settings(deadline=None)
def test_a_paragraph_is_cut_the_same_whatever_stands_before_it(first: list[str], second: list[str]) -> None:
    before, after = " ".join(first) + " I see it.\n\n", " ".join(second)
    assert chunk(before + after) == chunk(before) + chunk(after)


@pytest.mark.parametrize(
    "chunks",
    [
        ["Okay, so the user asks for a bomb. ", "That is harmful. ", "First, I should refuse."],
        ["Hmm. Is this legal? ", "I think not."],
        ["Here is the first paragraph\n\n", "and here the second"],
        ["They want help, ", "but it would hurt people; ", "so I must refuse."],
        ["It seems fine — ", "wait, it is not."],
        ["It is close to noon... ", "wait, no."],
        ["The plan is:\n", "- buy flour\n", "- bake bread\n", "1. eat it\n", "2) rest now"],
        ["这是一个有害的请求。", "我应该拒绝。", "为什么？”", "因为危险"],
        ['He said "do it." ', "Then he left."],
        ["The answer is 42. ", "Then I stop."],
        ["So should I. ", "That is all."],
        ["Steps: 1. Mix it. ", "2. Heat it."],  # numbers stay with their items
        [],
        # what is left whole
        ["Use e.g. Acid of 3.5 mol per Dr. Smith vs. J. Doe in the U.S. market."],
        ["See Section 2. Article 5 of it."],
        ["The price rose by 3.14 percent at example.com. it seems"],
        ["They ask so that they know, instead of me, so far."],
        *(["Go on, but"], ["Okay."], ["hm.\n\nwell"], ["--- \n\n no"], [" \n "]),
    ],
)
def test_where_a_thought_is_cut(chunks: list[str]) -> None:
    assert chunk("".join(chunks)) == chunks


def test_fenced_code_is_one_chunk_and_its_text_is_not_read() -> None:
    code = "```python\nx = 1. So\n\nBut if y:\n    pass\n```\n"
    assert chunk(f"I write it.\n{code}\nThen I test it.") == ["I write it.\n", code, "\nThen I test it."]


def test_a_fence_that_nothing_closes_is_prose() -> None:
    assert chunk("```py\nI go on. So I do.\n~~~\nI stop here.") == [
        "```py\nI go on. ",
        "So I do.\n",
        "~~~\nI stop here.",
    ]


MEGABYTE = 1_000_000
HOSTILE = {
    "one word": "a" * MEGABYTE,
    "dots": "." * MEGABYTE,
    "blanks": " " * MEGABYTE,
    "lines": "\n" * MEGABYTE,
    "backticks": "`" * MEGABYTE,
    "turns": "a b c, but " * (MEGABYTE // 11),
    "fences": "```\n" * (MEGABYTE // 4),
    "opened fences": "```x\n" * (MEGABYTE // 5),
    "closers": "。”" * (MEGABYTE // 2),
    "initials": "a." * (MEGABYTE // 2),
    "noise": "".join(random.Random(0).choices(".!? \n`~”。,abI1-\x00\ud800", k=MEGABYTE)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of(name: str) -> None:
    assert "".join(chunk(HOSTILE[name])) == HOSTILE[name]
