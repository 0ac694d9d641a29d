"""What the trail says of a canary: its beginning, what happened in the answers of either arm, the test that ended it.

All of it is in records of the chain, so a test can be made again from the trail alone: by a gateway that starts again,
and by whoever checks.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from ascl.errors import InputError
from ascl.saved import checked
from ascl.serve.trail.records import found
from ascl.serve.trial.canary import Arm, Comparison, Test

_PART = """seq > ? AND kind != 'begun' AND instr(record, '"canary": {') AND instr(record, ?)"""


class Part(BaseModel):
    """What an answer or a verdict of a client is in a canary.

    id: of the canary. conversation: its keyed hash. events: what happened, by the names of `TESTS`.
    """

    id: str
    arm: Arm
    conversation: str
    events: list[str] = Field(max_length=8)


class Moment(BaseModel):
    """The beginning of a canary, or its end by a test.

    seq: the number of the record. rules, candidate: the versions of the two books. share: of the conversations, under
    the candidate.
    """

    seq: int
    canary: str
    state: Literal["begun", "stopped"]
    rules: str
    candidate: str
    share: float = Field(gt=0, lt=1)
    tests: list[Test] = Field(min_length=1)
    test: Test | None = None
    at: float = 0.0


@dataclass
class ArmTally:
    """Answers of an arm, failed ones too; those that consulted; how many had each event, verdicts of clients too."""

    answers: int = 0
    consulted: int = 0
    events: Counter[str] = field(default_factory=Counter)


@dataclass
class Trialled:
    """The newest canary of a trail, its arms, and its tests made again."""

    begun: Moment
    stopped: Moment | None
    arms: dict[Arm, ArmTally]
    comparison: Comparison


def moments(path: Path) -> list[Moment]:
    """The beginnings and ends of canaries, oldest first. Raises InputError."""
    return [checked(Moment, one, _where(one)) for one in found(path, "id GLOB 'canary-*' AND kind = 'canary'")]


def again(path: Path, begun: Moment, comparison: Comparison) -> Test | None:
    """Tell a comparison all that the trail holds of a canary; returns the test that says the candidate is worse."""
    for _, part in _parts(path, begun, """ AND instr(record, '"events": ["')"""):
        comparison.add(part.events, part.conversation, part.arm)
    return comparison.worse


def newest(path: Path) -> Trialled:
    """The newest canary of a trail. Raises InputError where there is none."""
    known = moments(path)
    begun = next((one for one in reversed(known) if one.state == "begun"), None)
    if begun is None:
        raise InputError(f"{path}: there was no canary (`ascl serve --candidate BOOK --canary SHARE`)")
    stopped = next((one for one in known if one.state == "stopped" and one.canary == begun.canary), None)
    told = Trialled(
        begun, stopped, {"active": ArmTally(), "candidate": ArmTally()}, Comparison(begun.share, tuple(begun.tests))
    )
    for record, part in _parts(path, begun):
        tally = told.arms[part.arm]
        tally.events.update(part.events)
        told.comparison.add(part.events, part.conversation, part.arm)
        if record["kind"] in ("finished", "failed"):
            tally.answers += 1
            tally.consulted += any(choice.get("consultations") for choice in record.get("choices", ()))
    return told


def _parts(path: Path, begun: Moment, more: str = "") -> Iterator[tuple[dict[str, Any], Part]]:
    for record in found(path, _PART + more, begun.seq, f'"id": "{begun.canary}"'):
        part = checked(Part, record.get("canary"), _where(record))
        if part.id == begun.canary:
            yield record, part


def _where(record: dict[str, Any]) -> str:
    return f"record {record['seq']} of the trail"
