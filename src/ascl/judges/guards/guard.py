"""What a guard is here: how a prompt and an answer are put to it, and how its reply is read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from ascl.chat.neutralise import neutralise
from ascl.chat.phrases import break_phrases
from ascl.judges.verdict import Refusal

REFUSALS = {
    "none": Refusal.FULL_COMPLIANCE,
    "partial": Refusal.PARTIAL_REFUSAL,
    "full": Refusal.FULL_REFUSAL,
}  # how judges that know three classes say them
Messages = list[dict[str, str]]  # a conversation in the form of chat-completions requests
# What the chat templates of Qwen3Guard and Llama-Guard put around a conversation, besides the names of the two sides.
FENCES = ("<BEGIN ", "<END ", "Provide your safety assessment")


class Safety(StrEnum):
    """What a guard says of an answer; most guards know only the two ends."""

    SAFE = "safe"
    CONTROVERSIAL = "controversial"
    UNSAFE = "unsafe"


@dataclass(frozen=True)
class Reading:
    """What a guard's reply says. refusal: None where the guard has no word for it. broken: the categories it names.

    score: how much the answer helps, from 0 to 1, where the guard says so on the understanding that the prompt is
    harmful (StrongREJECT). Of an answer to any other prompt, such a reading says nothing but whether it refuses.
    """

    safety: Safety
    refusal: Refusal | None = None
    broken: str = ""
    score: float | None = None


@dataclass(frozen=True)
class Guard:
    """A family of guard models.

    messages: from prompt and answer to what the guard is asked. parse: from the guard's whole reply to its reading;
    None where the reply is anything but one verdict (`spoken.py`: the form may be off). max_tokens: enough for any
    verdict. template: the chat template in process, where the tokenizer's own is not the one it was trained with.
    markers: how the lines of the question begin that no text may forge, nor anything that looks like them, be they in
    `messages` or in the template. decides: a hash of the rules and the wording that it judges by, where they are not
    its family's own.
    """

    name: str
    messages: Callable[[str, str], Messages]
    parse: Callable[[str], Reading | None]
    max_tokens: int = 64
    template: str | None = None
    markers: tuple[str, ...] = ()
    decides: str = ""

    def ask(self, prompt: str, answer: str) -> Messages:
        """What the guard is asked, with every control token and line of its own question broken in both texts."""
        return self.messages(self._broken(prompt), self._broken(answer))

    def ask_alone(self, text: str) -> Messages:
        """As `ask`, of a text that may be anybody's: what a user says where the guard's template knows such a question,
        else an answer to nothing.
        """
        text = self._broken(text)
        return [{"role": "user", "content": text}] if self.messages is exchange else self.messages("", text)

    def _broken(self, text: str) -> str:
        return break_phrases(neutralise(text), self.markers)


def one_line(text: str, phrases: Iterable[str]) -> str:
    """A rule's text as it may stand in a policy: in one line, with control tokens and phrases broken."""
    return break_phrases(neutralise(" ".join(text.split())), phrases)


def exchange(prompt: str, answer: str) -> Messages:
    """Prompt and answer as the two turns they were, for guards whose chat template holds the question."""
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
