"""The reader of multiple-choice answers: stated letters in any dress, option texts, and what is no choice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.judges.graders.choice import read_choice
from ascl.judges.graders.grade import grade

FOUR = ["red", "green", "dark blue", "a black hole"]
TEN = [f"option number {i}" for i in range(10)]
PETS = ["a small cat", "a loud parrot", "an old tortoise", "a white mouse"]


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("Answer: B", "B"),
        ("Answer: (B).", "B"),
        ("**Answer:** B", "B"),
        ("Answer: **B**", "B"),
        ("The answer is B because it is green.", "B"),
        ("the correct answer is: c.", "C"),
        ("Answer: a", "A"),
        ("Answer: A. Wait, that is wrong. Answer: B", "B"),
        ("The answer is A because red is first.", "A"),
        ("B", "B"),
        (" (B) ", "B"),
        ("B. It is green.", "B"),
        ("Answer: B. A is wrong.", "B"),
        ("Answer: B A red light is no green one.", "B"),
        ("B) green", "B"),
        (r"The answer is \boxed{B}.", "B"),
        ("It is dark blue.", "C"),
        ("I think it is GREEN", "B"),
        ("Answer: a black hole", "D"),
        ("Answer: A black hole", "D"),
        # nothing to be read: None, not a guess
        ("The answer is a matter of taste.", None),
        ("The answer I give is short.", None),
        ("Answer: E", None),
        ("Answer: A or B", None),
        ("Answer: red or green", None),
        ("Answer: B; A", None),
        ("Answer: B | C", None),
        ("Answer: B && C", None),
        ("Answer: B、C", None),
        ("Answer: B and/or C", None),
        ("Answer: B C D", None),
        (r"\boxed{B C}", None),
        ("Answer: B is wrong", None),
        ("Answer: B (incorrect)", None),
        ("Answer: B isn't it.", None),
        ("It is reddish.", None),
        ("A. red\nB. green\nC. dark blue\nD. a black hole", None),
        ("A thing of beauty.", None),
        ("Bats fly.", None),
        ("I do not know.", None),
        ("", None),
    ],
)
def test_choices(answer: str, letter: str | None) -> None:
    assert read_choice(answer, FOUR) == letter
    unread = None if answer else False  # no answer is wrong, not unread
    assert grade(answer, "B", FOUR) is (unread if letter is None else letter == "B")


@pytest.mark.parametrize(
    ("answer", "options", "letter"),
    [
        *(("Answer: J", TEN, "J"), ("Answer: I", TEN, "I"), ("The answer I think of is long.", TEN, None)),
        *(("Answer: K", TEN, None), ("Planets slow down", ["Planets slow down.", "Stars."], "A")),
        *(("It is 100.", ["10", "100", "1", ""], "B"), ("It is 15.", ["10", "100", "1", ""], None)),
    ],
)
def test_other_options(answer: str, options: list[str], letter: str | None) -> None:
    assert read_choice(answer, options) == letter


@given(st.text(max_size=60), st.integers(1, 10), st.data())
@settings(deadline=None)
def test_a_stated_letter_is_read_whatever_stands_before(before: str, n: int, data: st.DataObject) -> None:
    letter = chr(ord("A") + data.draw(st.integers(0, n - 1)))
    assert read_choice(f"{before}\nAnswer: {letter}", TEN[:n]) == letter


@pytest.mark.parametrize(
    "letter",
    [
        "C", "(C)", "C)", "C.", "C:", "[C]", "{C}", "'C'", '"C"', "“C”", "`C`", "**C**", "*C*", "__C__", "<b>C</b>",
        "==C==", "$C$", r"\(C\)", r"\textbf{C}", r"\mathrm{C}", r"$\textbf{(C)}$", r"$\mathbf{C}$", r"\boxed{C}",
        r"$\boxed{\text{C}}$", r"\boxed{\text{(C)}}", r"\boxed{C: an old tortoise}", "option C", "Option (C)",
        "choice C", "C: an old tortoise", "C) an old tortoise", "C - an old tortoise", "C, an old tortoise",
        "(C) an old tortoise", "an old tortoise", "old tortoise", "𝐂", "Ⓒ", "Ｃ", "c", "(c)", "c) an old tortoise",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "before",
    [
        "Answer: ", "The answer is ", "**Final answer:** ", "The correct option is ", "The best choice would be ",
        "#### ", "Answer\n\n",
    ],
)  # fmt: skip
def test_a_stated_letter_in_any_dress(before: str, letter: str) -> None:
    after = "\n\nA cat is too quick. Option A is wrong, and the answer B would be wrong too, as D is."
    assert read_choice(before + letter, PETS) == "C"
    assert read_choice(before + letter + after, PETS) == "C"


@pytest.mark.parametrize(
    "answer",
    [
        r"Neither A nor B fits, so the third does.\n\n\boxed{C}", "<answer>C</answer>", "<answer>Option C</answer>",
        "Option C is correct.", "C is the correct answer, A is not.", "I choose C.", "I would go with option C.",
        "It must be C.", "Therefore, C.", "Answer: A. Wait, that is wrong. Answer: C",
        "Answer: C\n\nSome may say that the answer is A.",
        "If it were quick the answer would be A. The answer is C.", "Answer: C. A is wrong.",
        "Answer: C, B is too loud", r"\boxed{\Delta E}" + "\n\n**Answer: C**",
        "C\n\nA is wrong because cats are quick.", "Answer: C\n\nQuestion: What is red?\nA. x\nB. y\nAnswer: A",
        "Answer: C\nA) is quick\nB) is loud", "Final Answer: The final answer is $C$. I hope it is correct.",
        '{"answer": "C"}',
    ],
)  # fmt: skip
def test_a_stated_letter_wins_over_those_named_later(answer: str) -> None:
    assert read_choice(answer.replace("\\n", "\n"), PETS) == "C"


@pytest.mark.parametrize(
    "answer",
    [
        "Answer: A, C", "Answer: A/C", "Answer: C and D", r"\boxed{A, C}", r"\boxed{A \text{ or } C}",
        "Both A and C are correct.", r"\boxed{E}", "The answer is K.", r"\boxed{}", "Answer: none of them",
        "It depends on A, B and C.", "Unlike option A.",
    ],
)  # fmt: skip
def test_several_letters_and_letters_beyond_the_options_are_no_choice(answer: str) -> None:
    assert read_choice(answer, PETS) is None


@given(
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["Answer: {}", r"\boxed{{{}}}", "The answer is ({}).", "**{}**", "{}) yes"]),
)
def test_only_the_stated_letter_is_right(stated: int, expected: int, form: str) -> None:
    answer = form.format("ABCD"[stated])
    assert grade(answer, "ABCD"[expected], PETS) is (stated == expected)
