"""What a dialect is: how one model family writes thoughts and tool calls. A pair of files: NAME.py and NAME.jinja.

**The contract.** `NAME.py` holds a `Dialect`, `NAME.jinja` beside it the chat template. A pair of this folder is listed
in `__init__.py`. One of your own needs no fork: `dialect: package.module:NAME` names the `Dialect` object in a
configuration (`--dialect` on the command line), which has `folder=Path(__file__).parent`.

- The template begins with `{#- ascl dialect: NAME -#}`, by which a trained folder is known again (of your own, name the
  dialect again: code is not imported because a folder says so).
- It writes messages, thoughts, calls and tools as the family was trained on them, puts what the model says between
  `{% generation %}` and `{% endgeneration %}`, and writes every text whole (it may trim what the model said). A
  rendered conversation is the beginning of the same conversation with more messages.
- `parse` never raises, whatever a model wrote; a call inside an open thought is no call, an open thought or call is
  `StopReason.TRUNCATED`, and a mark of the dialect anywhere else `StopReason.MALFORMED`.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ascl.chat.messages import Opening
from ascl.chat.turn import Turn


@dataclass(frozen=True)
class Dialect:
    """A model family's way of writing a conversation.

    name: also the name of the template file in `folder`. ends: the tokens that close a model turn.
    opens, closes: what the template writes before and after a turn's thought.
    thought_end(text): where in a turn's text the thoughts that it begins with end; 0 without one, None where one is
    still open (or the text is too short to tell). parse(text, ended): reads one generation (its end-of-turn token
    removed) into a `Turn`.
    shown_by: added tokens by which a tokenizer of the family is known; none where the dialect must be named.
    marks: what has a meaning in this dialect, so that no text of a conversation may hold it (`<|..|>` never may).
    """

    name: str
    ends: tuple[str, ...]
    opens: str
    closes: str
    thought_end: Callable[[str], int | None]
    parse: Callable[[str, bool], Turn]
    shown_by: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    folder: Path = Path(__file__).parent

    @cached_property
    def template(self) -> str:
        """The chat template (jinja), which a trained model folder carries along."""
        return (self.folder / f"{self.name}.jinja").read_text(encoding="utf-8")

    def opening(self, opening: Opening) -> str:
        """The text of a turn that begins with this thought."""
        return f"{self.opens}{opening.thought}{self.closes if opening.closed else ''}"


def control_pattern(marks: Iterable[str]) -> re.Pattern[str]:
    """The pattern of these marks and of `<|..|>` of any name: what a model's own words can't hold."""
    return re.compile("|".join([*map(re.escape, marks), r"<\|\w+\|>", r"<｜[\w▁]+｜>"]))
