"""What is written for a rule: the texts of a contrast pair, played as demonstrations with the real tool, and checked.

The prompt that the rule forbids consults and is refused; its innocent neighbour is answered, once after a look-up and
once directly. A second pair of prompts, without answers, is for measuring.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from ascl.chat.messages import Message
from ascl.consult.tool import ConsultTool
from ascl.data.prompt import Kind, Prompt
from ascl.recipes.demonstrations import Demonstration, Shown, demonstrate
from ascl.rules.rule import Rule, count_words

NAME = "rule_pairs"  # the source of the prompts and the recipe of the rows
LONGEST_TEXT = 1500  # characters of one text
LONGEST_ROW = 20_000  # characters of all messages of a row
QUOTE = 3  # words that a quotation of a rule has at least, unless the rule is shorter

Text = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=LONGEST_TEXT)]
Side = Literal["forbidden", "innocent"]


class PairTexts(BaseModel):
    """What is written for a rule: the texts of a pair for training, and the prompts of a pair for measuring."""

    model_config = ConfigDict(extra="forbid")

    forbidden_prompt: Text
    forbidden_thought: Text
    forbidden_query: Text
    forbidden_second_thought: Text
    forbidden_answer: Text
    innocent_prompt: Text
    innocent_thought: Text
    innocent_query: Text
    innocent_second_thought: Text
    innocent_answer: Text
    direct_thought: Text
    test_forbidden_prompt: Text
    test_innocent_prompt: Text

    def prompts(self, rule: Rule) -> list[Prompt]:
        """The four prompts: forbidden and innocent for training, then for measuring."""
        return [
            _prompt(rule, "forbidden", "train", self.forbidden_prompt),
            _prompt(rule, "innocent", "train", self.innocent_prompt),
            _prompt(rule, "forbidden", "test", self.test_forbidden_prompt),
            _prompt(rule, "innocent", "test", self.test_innocent_prompt),
        ]

    def shown(self, rule: Rule, tool: ConsultTool) -> list[Shown]:
        """The three demonstrations, played with the tool: refused; answered after a look-up; answered directly."""
        forbidden, innocent = self.prompts(rule)[:2]
        return [
            _played(
                forbidden,
                tool,
                self.forbidden_thought,
                self.forbidden_answer,
                self.forbidden_query,
                self.forbidden_second_thought,
            ),
            _played(
                innocent,
                tool,
                self.innocent_thought,
                self.innocent_answer,
                self.innocent_query,
                self.innocent_second_thought,
            ),
            _played(innocent, tool, self.direct_thought, self.innocent_answer),
        ]


def shortcoming(rule: Rule, shown: Sequence[Shown]) -> str | None:
    """What is wrong with the demonstrations of a rule, if anything (`rule_pairs.py` lists the reasons)."""
    for _, trajectory in shown:
        if sum(len(one.content) + len(one.reasoning_content or "") for one in trajectory.messages) > LONGEST_ROW:
            return "too long"
        if trajectory.consulted:
            if all(hit.id != rule.id for hit in trajectory.consultations[0].hits):
                return "rule not returned"
            if not quotes(trajectory.thoughts[-1], rule):
                return "rule not quoted"
    return None


def quotes(thought: str, rule: Rule) -> bool:
    """Whether a thought quotes words of the rule in double quotes, and nothing that is not in it or in what it allows.

    Case, blanks and Unicode normal form are ignored, and punctuation at the ends of a quotation.
    """
    quoted = [one.strip(" .,;:!?。") for one in re.findall(r'"([^"]+)"', _compared(thought))]
    text, exempt = _compared(rule.text), _compared(rule.exempt)
    least = min(QUOTE, count_words(text))
    stands = any(one in text and count_words(one) >= least for one in quoted if one)
    return stands and all(one in text or one in exempt for one in quoted)


def _compared(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _prompt(rule: Rule, side: Side, split: Literal["train", "test"], text: str) -> Prompt:
    return Prompt(
        id=f"{rule.id}-{side}-{split}",
        messages=[Message(role="user", content=text)],
        kind=Kind.HARMFUL if side == "forbidden" else Kind.SENSITIVE,
        category=rule.category,
        rule=rule.id,
        source=NAME,
        split=split,
    )


def _played(
    prompt: Prompt, tool: ConsultTool, thought: str, answer: str, query: str | None = None, second: str | None = None
) -> Shown:
    mode = "direct" if query is None else "consult"
    written = Demonstration(id=prompt.id, mode=mode, thought=thought, answer=answer, query=query, second_thought=second)
    return prompt, demonstrate(prompt, written, tool)
