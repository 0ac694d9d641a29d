"""The consultations that a trail records: which rules came back, under which version of the book, how the answer ended.

A rule that stands in a system text (the form `rag`) was not looked up, and is none of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from ascl.consult.tool import MAX_TOP_K
from ascl.saved import checked
from ascl.serve.books import CANDIDATE


@dataclass(frozen=True)
class Recorded:
    """A consultation as it was recorded.

    answer: names the answer it belongs to (a request has one for each choice). at: when the answer ended. version: of
    the rule book. rules: the ids that came back, best first. ending: how a finished answer stopped, or `failed` or
    `aborted`. query: None where its text was not kept, or was erased. top_k: None in records that do not say it.
    """

    answer: str
    at: float
    version: str
    rules: tuple[str, ...]
    ending: str
    query: str | None
    top_k: int | None


class _LookUp(BaseModel):
    rules: list[tuple[str, float]] = Field(max_length=MAX_TOP_K)
    top_k: int | None = Field(default=None, ge=1, le=MAX_TOP_K)


class _Choice(BaseModel):
    finish_reason: str
    stop: str | None
    consultations: list[_LookUp]


class _Ended(BaseModel):
    id: str
    at: float = Field(ge=0, le=1e11)
    choices: list[_Choice] = []
    queries: list[str] = []


def ending_of(stop: str | None, finish_reason: str) -> str:
    """How a finished answer ended: as the model did, unless a guard withheld it (`content_filter`)."""
    return finish_reason if finish_reason == "content_filter" or stop is None else stop


def recorded(events: Iterable[dict[str, Any]], since: float = 0.0) -> Iterator[Recorded]:
    """The consultations of a trail's events (`audit.export`), oldest first, of answers that ended at `since` or later.

    Those of a canary's candidate are left out: its rules are another book's. Of a request that ended twice (its client
    left as it finished) the first end counts. The queries of a request stand in the order of its consultations. Raises
    InputError where an event is damaged.
    """
    versions: dict[str, str] = {}
    for event in events:
        id = str(event["id"])
        if event["kind"] == "begun":
            if event.get("arm") != CANDIDATE:
                versions[id] = str(event.get("rules"))
            continue
        version = versions.pop(id, None)
        if version is not None:
            ended = checked(_Ended, event, f"record {event['seq']} of the trail")
            if ended.at >= since:
                yield from _of(ended, event["kind"], version)


def _of(ended: _Ended, kind: str, version: str) -> Iterator[Recorded]:
    queries = iter(ended.queries)
    for number, choice in enumerate(ended.choices):
        ending = ending_of(choice.stop, choice.finish_reason) if kind == "finished" else kind
        for one in choice.consultations:
            rules = tuple(rule for rule, _ in one.rules)
            answer = f"{ended.id} {number}"
            yield Recorded(answer, ended.at, version, rules, ending, next(queries, None), one.top_k)
