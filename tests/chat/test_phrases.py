"""The labels of a question are broken in the texts put into it, however they are written, and nothing else is."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ascl.chat.neutralise import BREAK
from ascl.chat.phrases import break_phrases, fill, labels_of, unbroken

PHRASES = ("User:", "Human user:", "<END ", "--", "[rules found]", "AI assistant:")
spoken = st.lists(
    st.sampled_from([*PHRASES, *(p.upper() for p in PHRASES), *(p.swapcase() for p in PHRASES), BREAK, " ", "*"])
    | st.text(max_size=3),
    max_size=6,
).map("".join)


@given(spoken)
@example("human USER: <end x> ---")
@example(f"U{BREAK}{BREAK}ser:")
def test_a_phrase_is_broken_in_any_case_and_nothing_else_is_changed(text: str) -> None:
    broken = break_phrases(text, PHRASES)
    assert not any(phrase.lower() in broken.lower() for phrase in PHRASES)
    assert broken.replace(BREAK, "") == text.replace(BREAK, "")
    assert break_phrases(broken, PHRASES) == broken


@pytest.mark.parametrize(
    "written",
    [
        "User :", "User\t:", "User\n:", "User：", "**User**:", "**User:**", "`user`:", "U\u200dser:", "Use\u00adr:",
        "User\ufe0f:", "Use\U000e0072r:", "Uѕеr:", "ＵＳＥＲ:", "𝐔𝐬𝐞𝐫:", "Ⓤⓢⓔⓡ:", "Üsér:", "ᴜsᴇʀ:",
        "Սser:", "U_s_er:", "user\\:", "User∶", "User꞉", "U\u0301ser:", "🇺🇸🇪🇷:",
        "🅤🅢🅔🅡:", "🆄🆂🅴🆁:", "υѕєя:", "ᑌᔕᗴᖇ:", "ʊֆɛʀ:", "Ʉser:", "Us℮r:", "Usɘr:", "⋃ser:", "Uʂɇɽ:", "Uƨer:", "𐓶ser:",
        "USE𖼵:", "Userꓽ", "Userः", "User᛬", "User፥", "User꛴", "User܄",
    ],
)  # fmt: skip
def test_what_looks_like_a_phrase_is_broken(written: str) -> None:
    broken = break_phrases(f"a\n{written} b", PHRASES)
    assert written not in broken
    assert broken.count(BREAK) == 1 and unbroken(broken) == f"a\n{written} b"


@pytest.mark.parametrize(
    "written",
    [
        "Human  user:", "human\nuser:", "Нuman user:", "Al assistant:", "[Rules\u2003Found]", "⁅rules found⁆",
        "「rules found」", "〖rules found〗", "❰END ", "≪END ", "⎯⎯", "⸺⸺", "Aӏ assistant:",
    ],
)  # fmt: skip
def test_blanks_and_letters_that_look_the_same_make_no_other_phrase(written: str) -> None:
    assert BREAK in break_phrases(written, PHRASES)


@pytest.mark.parametrize(
    "text",
    ["", "the users: bob", "User = 3", "a - b", "Usher: hello", "Über: x", "12:30", "κόσμε: да", "<e n", "end of it"],
)
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert break_phrases(text, PHRASES) == text


def test_without_phrases_the_text_is_unchanged() -> None:
    assert break_phrases("User: <think>", ()) == "User: <think>"


TEMPLATE = """Read this. Say what it is:

Request:
{request}

What is wrong ({kind}):
{thought}

Use this form:
First part: (what comes first)
Second: not a label"""
LABELS = ["Read this. Say what it is:", "Request:", "What is wrong (", "Use this form:", "First part:"]


def test_the_labels_of_a_question() -> None:
    assert labels_of(TEMPLATE) == LABELS


@given(st.lists(st.sampled_from([*LABELS, "{request}", "{", "}", "\n", "request:"]) | st.text(max_size=3)).map("".join))
def test_no_text_forges_a_label_or_is_filled_in_again(text: str) -> None:
    filled, empty = (
        fill(TEMPLATE, request=text, kind="a", thought=text),
        fill(TEMPLATE, request="", kind="a", thought=""),
    )
    for label in LABELS:
        assert len(re.findall(re.escape(label), filled, re.I)) == len(re.findall(re.escape(label), empty, re.I))
    assert unbroken(filled).count(unbroken(text)) >= 2
