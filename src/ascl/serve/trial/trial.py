"""An edited rule book (the candidate) tried on live traffic, in two ways.

Shadow: each look-up is also made in the candidate, and the record holds what it would have returned. The answer knows
nothing of it. Canary: a share of the conversations is answered under the candidate, until a test says that it is worse
(`canary.py`). Whoever asks does not choose the arm: it is a keyed hash of the tenant and of what the conversation began
with, so that a conversation, and a prompt that is tried again, stay in their arm.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ascl.chat.messages import StopReason
from ascl.judges.lexical.refusal import refuses
from ascl.serve.books import CANDIDATE, Books, Pinned
from ascl.serve.log import MESSAGES
from ascl.serve.loop import Walked, question_of
from ascl.serve.metrics import Metrics
from ascl.serve.protocol.asked import Asked
from ascl.serve.trail.audit import AuditError, AuditStore, Entry
from ascl.serve.trial.arms import again, moments
from ascl.serve.trial.canary import TESTS, Arm, Comparison, Test

NOBODY = ""  # the tenant of records that are no request's
LONGEST = 2000  # characters of an answer that may be a refusal: the reader takes milliseconds for so many
_OUTAGES = (429, 503, 504)
_FAULTS = (StopReason.EMPTY, StopReason.MALFORMED, StopReason.TRUNCATED, StopReason.TURN_LIMIT)


@dataclass
class Canary:
    """A candidate beside the book in force, by their versions. recorded: whether the trail holds its beginning."""

    id: str
    rules: str
    candidate: str
    comparison: Comparison
    recorded: bool = False

    def moment(self, state: str, **more: Any) -> Entry:
        """The record of its beginning or its end."""
        said: dict[str, Any] = {"canary": self.id, "state": state, "rules": self.rules, "candidate": self.candidate}
        said |= {"share": self.comparison.share, "tests": list(self.comparison.tests)}
        return Entry(f"canary-{self.id}", "canary", NOBODY, said | more)


class Trial:
    """The trial of the book `candidate` among the books. share: of the canary; 0 for a shadow alone.

    tests: those of `canary.TESTS` that end it. stopped: by the version of a candidate, the test that ended its canary.
    It stays so until the candidate is edited.
    """

    def __init__(
        self, books: Books, audit: AuditStore, metrics: Metrics, share: float, tests: Sequence[Test] = tuple(TESTS)
    ) -> None:
        self.books, self.audit, self.metrics, self.share, self.tests = books, audit, metrics, share, tests
        self.stopped: dict[str, Test] = {}
        self._canaries: dict[str, Canary] = {}  # by id: a book that is edited and reverted goes on with its canary
        self._canary = self._of(books.pin("default"), books.pin(CANDIDATE))
        if share:
            self._restore()
        metrics.canary_share.set_function(lambda: self.now)

    def _restore(self) -> None:
        """Go on where the trail ends."""
        known, canary = moments(self.audit.path), self._canary
        self.stopped = {one.candidate: one.test for one in known if one.test and one.test in self.tests}
        begun = next((one for one in known if one.canary == canary.id), None)
        canary.recorded = begun is not None
        if begun and (worse := again(self.audit.path, begun, canary.comparison)):
            self.stopped.setdefault(canary.candidate, worse)

    @property
    def now(self) -> float:
        """The share of conversations that is answered under the candidate now."""
        active, candidate = self.books.pin("default"), self.books.pin(CANDIDATE)
        return 0.0 if candidate.version in (active.version, *self.stopped) else self.share

    @property
    def state(self) -> dict[str, Any]:
        """What `/readyz` says of it. stopped: the test that ended the canary of this candidate."""
        return {"share": self.now, "stopped": self.stopped.get(self.books.pin(CANDIDATE).version)}

    def assign(self, active: Pinned, tenant: str, asked: Asked) -> "Tried | None":
        """What a request has to do with the trial; None where the candidate is the book in force."""
        candidate = self.books.pin(CANDIDATE)
        if candidate.version == active.version:
            return None
        if not self.share or candidate.version in self.stopped:
            return Tried(self, active, candidate)
        if (self._canary.rules, self._canary.candidate) != (active.version, candidate.version):
            self._canary = self._of(active, candidate)
        begins = f"{self._canary.id}\0{asked.options.get('user')}\0{asked.messages[0]['content']}"
        conversation = self.audit.hashed(tenant, begins)
        arm: Arm = "candidate" if int(conversation[:13], 16) < self.share * 16**13 else "active"
        self.metrics.arms.labels(arm).inc()
        return Tried(self, candidate if arm == "candidate" else active, candidate, self._canary, arm, conversation)

    def _of(self, active: Pinned, candidate: Pinned) -> Canary:
        said = f"{active.version} {candidate.version} {self.share} {self.tests}"
        id = hashlib.sha256(said.encode()).hexdigest()[:8]
        new = Canary(id, active.version, candidate.version, Comparison(self.share, self.tests))
        return self._canaries.setdefault(id, new)

    async def count(self, canary: dict[str, Any]) -> None:
        """Take what a record on disk says under `canary`; ends it where a test says that the candidate is worse."""
        for event in canary["events"]:
            self.metrics.arm_events.labels(canary["arm"], event).inc()
        running = self._canaries.get(canary["id"])
        if running is None:
            return
        worse = running.comparison.add(canary["events"], canary["conversation"], canary["arm"])
        if worse is None or running.candidate in self.stopped:
            return
        self.stopped[running.candidate] = worse
        self.metrics.canary_stops.labels(worse).inc()
        MESSAGES.info(
            f"the canary of version {running.candidate} is ended: {worse}; version {running.rules} answers all"
        )
        with suppress(AuditError):  # a gateway that starts again finds it in the records of the answers
            await self.audit.write(running.moment("stopped", test=worse, counts=running.comparison.counts))


@dataclass
class Tried:
    """What one request has to do with the trial. pinned: the book that it is answered under.

    canary: None for a shadow alone. shadow: for each look-up of each choice, what the candidate finds.
    """

    trial: Trial
    pinned: Pinned
    candidate: Pinned
    canary: Canary | None = None
    arm: Arm = "active"
    conversation: str = ""
    events: list[str] = field(default_factory=list)
    shadow: list[list[list[str]]] = field(default_factory=list)

    async def begin(self) -> dict[str, Any]:
        """What the record of the request's beginning says of it. Raises AuditError."""
        canary = self.canary
        if canary is None:
            return {"candidate": self.candidate.version}
        if not canary.recorded:
            canary.recorded = True
            try:
                await self.trial.audit.write(canary.moment("begun"))
            except AuditError:
                canary.recorded = False
                raise
        return {"candidate": self.candidate.version, "arm": self.arm}

    async def look(self, kind: str, status: int, asked: Asked, walks: list[Walked]) -> None:
        """Look at an answer that has ended: what the candidate would have returned, and what happened in it.

        kind, status: how the request ended. No book is to blame for a server that is busy, slow or not there.
        """
        if self.arm == "active":
            search = self.candidate.tool.book.search
            self.shadow = [
                [[rule.id for rule, _ in search(one.query, one.top_k)] for one in walked.trajectory.consultations]
                for walked in walks
            ]
        if self.canary is not None:
            fault = (kind == "failed" and status not in _OUTAGES) or (kind == "finished" and any(map(_at_fault, walks)))
            refused = kind == "finished" and await asyncio.to_thread(_refused, question_of(asked), walks)
            withheld = any(walked.verdict == "unsafe" for walked in walks)
            self.events = ["fault"] * fault + ["refused"] * refused + ["withheld"] * withheld

    def note(self, record: dict[str, Any]) -> None:
        """Put what was seen into the request's final record."""
        for choice, found in zip(record["choices"], self.shadow, strict=False):
            for one, ids in zip(choice["consultations"], found, strict=False):
                one["candidate"] = ids
                same = ids == [rule for rule, _ in one["rules"]]
                self.trial.metrics.shadowed.labels("same" if same else "other").inc()
        if self.canary is not None:
            seen = {"id": self.canary.id, "arm": self.arm, "conversation": self.conversation, "events": self.events}
            record["canary"] = seen


def _at_fault(walked: Walked) -> bool:
    return bool(walked.trajectory.faults) or walked.limit_reached or walked.trajectory.stop in _FAULTS


def _refused(question: str, walks: list[Walked]) -> bool:
    said = [walked.trajectory.answer or "" for walked in walks]
    return any(refuses(question, answer) for answer in said if answer.strip() and len(answer) <= LONGEST)
