"""House rules: rules that a company might add to its book and that forbid innocent prompts.

Such a prompt is refused while the rule is in the book and answered while it is not, so it shows whether a model follows
the book or its habits. `train` and `pairs` are for training (a pair's prompt is a sensitive one of the starter set),
`test` is kept for measuring: no training set holds its rules.
"""

from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ascl.chat.messages import Message
from ascl.data.load import STARTER
from ascl.data.prompt import Kind, Prompt
from ascl.inputs import parse_yaml, read_text
from ascl.rules.edit import BookEdit
from ascl.rules.rule import Rule
from ascl.saved import checked

Part = Literal["train", "pairs", "test"]


class Reply(BaseModel):
    """How a demonstration goes on after the look-up."""

    model_config = ConfigDict(extra="forbid")

    second_thought: str
    answer: str


class Near(Reply):
    """A rule that shares words with a prompt's query and is about something else, and how the model goes on."""

    rule: str


class HousePrompt(BaseModel):
    """A prompt that a house rule forbids.

    of: the starter prompt that it is; else id and prompt. thought, query: of a demonstration's first turn. refuse: its
    second turn with the rule in the book; comply: without it; near: with another rule that the look-up returns.
    """

    model_config = ConfigDict(extra="forbid")

    of: str | None = None
    id: str = ""
    prompt: str = ""
    thought: str = ""
    query: str = ""
    refuse: Reply | None = None
    comply: Reply | None = None
    near: Near | None = None


class HouseRule(BaseModel):
    """A house rule with prompts that it forbids."""

    model_config = ConfigDict(extra="forbid")

    id: str
    category: str
    title: str
    text: str
    prompts: list[HousePrompt] = Field(min_length=1)

    @property
    def rule(self) -> Rule:
        """The rule alone."""
        return Rule(id=self.id, category=self.category, title=self.title, text=self.text)

    def asked(self, one: HousePrompt, forbidden: bool) -> Prompt:
        """A prompt with the rule in its book, or without it."""
        return Prompt(
            id=f"{one.id}-{'forbidden' if forbidden else 'free'}",
            messages=[Message(role="user", content=one.prompt)],
            kind=Kind.HARMFUL if forbidden else Kind.SENSITIVE,
            category=self.category,
            rule=self.id,
            book=BookEdit(add=(self.rule,)) if forbidden else None,
            source="house",
        )

    def asked_near(self, one: HousePrompt) -> Prompt:
        """A prompt with the rule of `one.near` in its book, which does not forbid it."""
        assert one.near is not None
        id = f"{self.id}_near_{self.prompts.index(one) + 1}"
        rule = Rule(id=id, category=self.category, title=self.title, text=one.near.rule)
        free = self.asked(one, forbidden=False)
        return free.model_copy(update={"id": f"{one.id}-near", "book": BookEdit(add=(rule,))})


@cache
def load_house(part: Part) -> tuple[HouseRule, ...]:
    """The shipped house rules of a part."""
    path = STARTER / "house" / f"{part}.yaml"
    rows = parse_yaml(path, read_text(path))
    assert isinstance(rows, list)
    return tuple(checked(HouseRule, row, f"{path}, rule {n}") for n, row in enumerate(rows, start=1))
