"""What a dialect is: how one model family writes thoughts and tool calls (a chat template and its parser)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ascl.chat.turn import Turn


@dataclass(frozen=True)
class Dialect:
    """A model family's way of writing a conversation.

    name: also the name of the template file beside this one. end_of_turn: the token that closes a model turn.
    parse(text, ended): reads one generation (its end-of-turn token removed) into a `Turn`.
    """

    name: str
    end_of_turn: str
    parse: Callable[[str, bool], Turn]

    @cached_property
    def template(self) -> str:
        """The chat template (jinja), which a trained model folder carries along."""
        return Path(__file__).with_name(f"{self.name}.jinja").read_text(encoding="utf-8")
