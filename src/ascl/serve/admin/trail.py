"""What the audit trail says, for the admin page: read only, and never more than its newest MOST events.

The trail knows how an answer ended and what was looked up, never what was said: refusals are not in it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ascl.saved import checked
from ascl.serve.keys import DAY
from ascl.serve.trail.audit import ENDS
from ascl.serve.trail.consultations import ending_of
from ascl.serve.trail.drift import first_move
from ascl.serve.trail.records import COLUMNS, event_of, reading
from ascl.stats import Estimate, proportion

MOST = 20_000  # events that figures are made of: 0.4 s
LISTED = 100
KINDS = ("begun", "finished", "failed", "aborted", "crashed", "feedback", "canary")
_HOUR = 3600.0


class _Choice(BaseModel):
    finish_reason: str = ""
    stop: str | None = None
    consultations: list[Any] = []
    faults: list[str] = []


class _Event(BaseModel):
    """The parts of a record that figures are made of; each kind of event has some of them."""

    form: str = ""
    forged: int = 0
    choices: list[_Choice] = []


@dataclass
class Hour:
    """An hour: its begin, the answers (of the form `ascl`), those that consulted, requests without an end, faults."""

    at: float
    answers: int = 0
    consulted: int = 0
    failed: int = 0
    faults: int = 0


@dataclass
class Figures:
    """The figures of an overview. Days begin at midnight UTC.

    first: when the first of the events that were read was written. whole: whether these are all. outcomes, endings,
    faults, forged: of today's requests and answers. consulted: the share of today's answers of the form `ascl` that
    consulted. hours: the last 24, the newest first, of those that were read. expected, answers, moved: of `first_move`,
    over all events that were read.
    """

    first: float | None = None
    whole: bool = True
    outcomes: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    consulted: Estimate = field(default_factory=Estimate)
    faults: Counter[str] = field(default_factory=Counter)
    forged: int = 0
    hours: list[Hour] = field(default_factory=list)
    expected: float | None = None
    answers: int = 0
    moved: str | None = None


def figures(path: Path, now: float) -> Figures:
    """The figures of a trail. Raises InputError where a record is damaged."""
    found, under_way = Figures(), dict[str, str]()
    this_hour, today = now - now % _HOUR, now - now % DAY
    hours = {this_hour - n * _HOUR: Hour(this_hour - n * _HOUR) for n in range(24)}
    consulted: list[bool] = []
    of_today: list[bool] = []
    for event in recent(path):
        id, kind, at = event["id"], event["kind"], event["at"]
        if found.first is None:
            found.first, found.whole = at, event["seq"] == 1
        said = checked(_Event, event, f"record {event['seq']} of the trail")
        hour = hours.get(at - at % _HOUR, Hour(at))
        if kind == "begun":
            under_way[id] = said.form
            found.forged += said.forged * (at >= today)
            continue
        form = under_way.pop(id, None)
        if form is None:  # it ended before, or began before the first event
            continue
        faults = [fault.partition(":")[0] for choice in said.choices for fault in choice.faults]
        hour.faults += len(faults)
        hour.failed += kind != "finished"
        answers = said.choices if kind == "finished" else []
        if form == "ascl":
            looked_up = [bool(choice.consultations) for choice in answers]
            hour.answers += len(looked_up)
            hour.consulted += sum(looked_up)
            consulted += looked_up
            of_today += looked_up if at >= today else []
        if at >= today:
            found.outcomes[kind] += 1
            found.faults.update(faults)
            found.endings.update(ending_of(choice.stop, choice.finish_reason) for choice in answers)
    found.outcomes["under way"] = len(under_way)
    since = 0.0 if found.whole else found.first or now
    found.consulted, found.hours = proportion(of_today), [one for one in hours.values() if one.at + _HOUR > since]
    found.expected, found.answers, found.moved = first_move(consulted)
    return found


def recent(path: Path, most: int = MOST) -> Iterator[dict[str, Any]]:
    """The newest events, oldest first, in the form of `audit.export`. Raises InputError where one is damaged."""
    with reading(path) as trail:
        first = trail.execute("SELECT MAX(seq) FROM events").fetchone()[0] or 0
        since = trail.execute("SELECT at FROM events WHERE seq > ? ORDER BY seq LIMIT 1", (first - most,)).fetchone()
        texts: dict[str, list[str]] = {}
        for id, text in trail.execute("SELECT id, text FROM texts WHERE at >= ? ORDER BY rowid", since or (0.0,)):
            texts.setdefault(id, []).append(text)
        for row in trail.execute(f"SELECT {COLUMNS} FROM events WHERE seq > ? ORDER BY seq", (first - most,)):
            event = event_of(row)
            yield event | {"queries": texts[row[1]]} if row[2] in ENDS and row[1] in texts else event


def listed(path: Path, tenant: str, kind: str) -> list[dict[str, Any]]:
    """The newest LISTED events without their records, newest first; of a tenant and of a kind alone where given."""
    given = [(f"{name} = ?", value) for name, value in (("tenant", tenant), ("kind", kind)) if value]
    where = " AND ".join(clause for clause, _ in given) or "1"
    with reading(path) as trail:
        rows = trail.execute(
            f"SELECT seq, id, kind, at, tenant FROM events WHERE {where} ORDER BY seq DESC LIMIT {LISTED}",
            [value for _, value in given],
        )
        return [dict(zip(("seq", "id", "kind", "at", "tenant"), row, strict=True)) for row in rows]


def one(path: Path, seq: int) -> dict[str, Any] | None:
    """An event with its record and the texts kept of its request. Raises InputError where it is damaged."""
    with reading(path) as trail:
        row = trail.execute(f"SELECT {COLUMNS} FROM events WHERE seq = ?", (seq,)).fetchone()
        if row is None:
            return None
        texts = [text for (text,) in trail.execute("SELECT text FROM texts WHERE id = ? ORDER BY rowid", (row[1],))]
    event = event_of(row)
    return event | ({"queries": texts} if texts and row[2] in ENDS else {})
