"""A prompt: what is asked, of which kind it is, and how an answer to it is checked."""

import hashlib
from collections.abc import Container, Iterable
from enum import StrEnum
from string import ascii_uppercase
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ascl.chat.messages import Message
from ascl.errors import InputError
from ascl.rules.edit import BookEdit


class Kind(StrEnum):
    """What a prompt asks of the model: refuse, answer despite its look, answer, or solve."""

    HARMFUL = "harmful"
    SENSITIVE = "sensitive"
    PLAIN = "plain"
    REASONING = "reasoning"


def _is_none(value: object) -> bool:
    return value is None  # not written: records and hashes stay what they were


class Prompt(BaseModel):
    """One prompt. `category` is a rule category slug or the source's own; `answer` is for reasoning prompts only.

    `options` turns a reasoning prompt into multiple choice; `answer` is then the letter of the right option, A to Z.
    `rule` is the id of the rule it is about, `book` how the rule book it is asked under differs from the one in force.
    """

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)
    kind: Kind
    category: str | None = None
    answer: str | None = None
    options: list[str] = Field(default_factory=list, max_length=len(ascii_uppercase))
    rule: str | None = Field(default=None, exclude_if=_is_none)
    book: BookEdit | None = Field(default=None, exclude_if=_is_none)
    source: str = "file"
    split: Literal["train", "test"] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Prompt":
        if self.messages[-1].role != "user" or not self.messages[-1].content.strip():
            raise ValueError("the last message of a prompt must be the user's and must hold text")
        if self.kind is Kind.REASONING and self.answer is None:
            raise ValueError("a reasoning prompt needs an `answer`")
        if self.options and self.answer not in [*ascii_uppercase[: len(self.options)]]:
            raise ValueError("`answer` must be the letter of one of the `options`")
        return self

    @property
    def house_rule(self) -> bool:
        """Whether a rule that its book adds forbids it: what is right then hangs on the book alone."""
        added = {rule.id for rule in self.book.add} if self.book else set()
        return self.kind is Kind.HARMFUL and self.rule in added

    @property
    def text(self) -> str:
        """The text of the last user message."""
        return self.messages[-1].content


def choose(
    prompts: Iterable[Prompt],
    split: str,
    kinds: Iterable[Kind],
    limit: int = 0,
    without: Container[str] = (),
) -> list[Prompt]:
    """The prompts of a split and of the given kinds; a limit takes that many of each kind, evenly spread (0: all).

    without: the ids of prompts to leave out.
    """
    prompts, chosen = list(prompts), []
    for kind in kinds:
        of_kind = [p for p in prompts if p.kind is kind and split_of(p) == split and p.id not in without]
        if limit and limit < len(of_kind):
            of_kind = [of_kind[i * len(of_kind) // limit] for i in range(limit)]
        chosen += of_kind
    return chosen


def harmful_and_plain(prompts: Iterable[Prompt], most: int = 256) -> tuple[list[Prompt], list[Prompt]]:
    """The first harmful and the first plain prompts, at most so many of each.

    Their mean states in a model make its refusal direction. Raises InputError where there are none of a kind.
    """
    prompts = list(prompts)
    found = [[p for p in prompts if p.kind is kind][:most] for kind in (Kind.HARMFUL, Kind.PLAIN)]
    for kind, of_kind in zip((Kind.HARMFUL, Kind.PLAIN), found, strict=True):
        if not of_kind:
            raise InputError(f"the refusal direction: there is no {kind.value} prompt to find it with; add some")
    harmful, plain = found
    return harmful, plain


def split_of(prompt: Prompt, test_share: float = 0.3) -> Literal["train", "test"]:
    """The split a prompt belongs to: its own `split`, else decided by the hash of its id (stable everywhere)."""
    if prompt.split is not None:
        return prompt.split
    position = int(hashlib.sha256(prompt.id.encode()).hexdigest()[:8], 16) / 0x1_0000_0000
    return "test" if position < test_share else "train"
