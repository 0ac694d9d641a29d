"""From texts to readings: what is known is not asked, the same text is asked once, and a bad reply a second time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from ascl.judges.asking.reply_cache import ReplyCache, reply_key
from ascl.judges.guards.guard import Messages
from ascl.models.sampling import Sampling

T = TypeVar("T")
Texts = tuple[str, str]  # prompt and answer, or thought and answer: untrusted


@dataclass(frozen=True)
class Question(Generic[T]):
    """A pair of texts, how it is put to a model, and how the reply is read."""

    texts: Texts
    messages: Callable[[str, str], Messages]
    parse: Callable[[str], T | None]


class AskedModel(Protocol):
    """A judging model: behind a server (`served.py`) or in this process (`local.py`)."""

    def untrusted(self, text: str) -> str:
        """A text as it may stand in a conversation: no control token of the model comes out of it."""
        ...

    def ask(self, conversations: list[Messages], sampling: Sampling, heard: Callable[[int, str | None], None]) -> None:
        """Tell `heard` each conversation's number and reply as they come; None where the model can't take the text."""
        ...


@dataclass
class Reader(Generic[T]):
    """Asks a model about pairs of texts and reads its replies, which are kept under `name` and `revision`."""

    name: str
    revision: str | None
    model: AskedModel
    cache: ReplyCache
    messages: Callable[[str, str], Messages]
    parse: Callable[[str], T | None]
    max_tokens: int

    def read(self, cases: Sequence[Texts]) -> list[T | None]:
        """The reading of each pair of texts; None where no reply could be read, in two attempts."""
        return self.read_each([Question(case, self.messages, self.parse) for case in cases])

    def read_each(self, questions: Sequence[Question[T]]) -> list[T | None]:
        """As `read`, each pair of texts by a question of its own."""
        keys = [reply_key(self.name, self.revision, asked.messages(*asked.texts)) for asked in questions]
        asked_about = list(zip(keys, questions, strict=True))
        waiting = {key: question for key, question in asked_about if self._known(key, question) is None}
        first = Sampling(max_tokens=self.max_tokens)
        for sampling in (first, first.model_copy(update={"temperature": 0.7, "seed": 1})):
            waiting = self._ask(waiting, sampling)
        return [self._known(key, question) for key, question in asked_about]

    def _known(self, key: str, question: Question[T]) -> T | None:
        reply = self.cache.get(key)
        return None if reply is None else question.parse(reply)

    def _ask(self, waiting: dict[str, Question[T]], sampling: Sampling) -> dict[str, Question[T]]:
        """Ask about all of them and keep the replies that can be read. Those whose replies can't be are returned."""
        if not waiting:
            return {}
        unread: dict[str, Question[T]] = {}
        keys = list(waiting)

        def heard(number: int, reply: str | None) -> None:
            key = keys[number]
            if reply is not None and waiting[key].parse(reply) is not None:
                self.cache.add(key, self.name, self.revision, reply)
            elif reply is not None:
                unread[key] = waiting[key]

        conversations = [asked.messages(*map(self.model.untrusted, asked.texts)) for asked in waiting.values()]
        try:
            self.model.ask(conversations, sampling, heard)
        finally:
            self.cache.flush()
        return unread
