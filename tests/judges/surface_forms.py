"""The ways in which a model writes the same result down: text around an expected answer (LaTeX or a number)."""

import re
from collections.abc import Callable


def grouped(result: str, separator: str) -> str:
    """The result with `separator` between the thousands of a whole number of four digits and more."""
    if not re.fullmatch(r"-?\d{4,}", result):
        return result
    return re.sub(r"(?<=\d)(?=(?:\d{3})+$)", lambda _: separator, result)


FORMS: dict[str, Callable[[str], str]] = {
    "boxed": lambda result: rf"We add them up. \boxed{{{result}}}",
    "dollars": lambda result: f"We get ${result}$.",
    "braced comma": lambda result: f"The total is ${grouped(result, '{,}')}$.",
    "thin space": lambda result: f"The total is ${grouped(result, chr(92) + ',')}$.",
    "sentence": lambda result: f"So the result is {result}.",
    "hashes and a note": lambda result: f"#### {result}\nNote: we took a week to have 7 days.",
    "answer and a closing line": lambda result: f"Answer: {result}\n\nTell me if I should explain step 4 again.",
    "bold": lambda result: f"After all this, the answer is **{result}**.",
    "unit": lambda result: f"The answer is {result} m^2.",
    "full stop in the box": lambda result: rf"Hence $\boxed{{{result}.}}$",
    "apostrophe": lambda result: f"The total is {grouped(result, chr(39))}.",
    "space": lambda result: f"The total is {grouped(result, ' ')} in all.",
    "comma": lambda result: f"The total is {grouped(result, ',')}!",
    "unit in the box": lambda result: rf"\boxed{{{result} \text{{ metres}}}}",
    "unit with an exponent": lambda result: rf"The area is ${result}\text{{ cm}}^2$.",
    "bold line": lambda result: f"**Final answer:** {result}\n\nThis took 3 steps.",
    "minerva": lambda result: f"Final Answer: The final answer is ${result}$. I hope it is correct.",
    "display": lambda result: f"Thus the value is\n\\[\n{result}\n\\]",
    "parentheses": lambda result: rf"We find that it is \({result}\).",
    "an aside": lambda result: f"The answer is {result} (that is 2 more than before).",
    "a footnote": lambda result: f"The answer is {result}.[1]\n\n[1] See page 12.",
    "a further problem": lambda result: f"The answer is {result}.\n\nQuestion: Ann has 5 pens. How many?\nAnswer: 5",
}
TEN = list(FORMS)[:10]
