"""The figures of the admin page, from trails whose numbers are known, and whatever a trail may hold."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ascl.errors import InputError
from ascl.serve.admin import trail
from ascl.serve.keys import DAY
from ascl.serve.trail.audit import AUDIT, AuditStore, Entry

CONSULTED = [{"query": "q", "top_k": 3, "rules": [["a.b", 0.5]]}]


def choice(consulted: bool = False, stop: str | None = "answered", **more: Any) -> dict[str, Any]:
    found = CONSULTED if consulted else []
    return {"stop": stop, "finish_reason": "stop", "consultations": found, "faults": []} | more


def write(folder: Path, *entries: Entry) -> tuple[Path, float]:
    """A trail, and the time of its last event."""
    store = AuditStore(folder)

    async def written() -> None:
        for entry in entries:
            await store.write(entry)

    asyncio.run(written())
    store.close()
    with closing(sqlite3.connect(folder / AUDIT)) as connection:
        (last,) = connection.execute("SELECT MAX(at) FROM events").fetchone()
    return folder / AUDIT, last or 0.0


def at_noon(path: Path) -> float:
    """Set all events to one time, at noon, and give it."""
    noon = 20_000 * DAY + DAY / 2
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE events SET at = ?", (noon,))
    return noon


def request(
    id: str, *choices: dict[str, Any], form: str = "ascl", kind: str = "finished", forged: int = 0
) -> list[Entry]:
    begun = Entry(id, "begun", "team", {"form": form, "forged": forged, "rules": "v1"})
    return [begun, Entry(id, kind, "team", {"choices": list(choices)})]


def test_figures_count_what_is_there(tmp_path: Path) -> None:
    path, _ = write(
        tmp_path,
        *request("a", choice(True), choice(False), forged=2),
        *request("b", choice(False, stop=None, finish_reason="tool_calls")),
        *request("c", choice(False, faults=["missing_query", "malformed: what the model said"])),
        *request("d", choice(True), form="rag"),
        *request("e", choice(True, faults=["missing_query"]), kind="failed"),
        *request("f", choice(True), kind="aborted"),
        Entry("b", "aborted", "team", {"choices": [choice(True)]}),  # its client left as it finished
        Entry("g", "begun", "team", {"form": "ascl", "forged": 0}),
        Entry("unknown", "crashed", "team", {}),
    )
    noon = at_noon(path)
    found = trail.figures(path, noon + 60)
    assert found.outcomes == {"finished": 4, "failed": 1, "aborted": 1, "under way": 1}
    assert found.endings == {"answered": 4, "tool_calls": 1}
    assert found.faults == {"missing_query": 2, "malformed": 1}
    assert (found.consulted.value, found.consulted.n, found.forged) == (0.25, 4, 2)
    assert (found.expected, found.answers, found.moved, found.whole) == (None, 4, None, True)
    first, *others = found.hours
    assert (first.at, first.answers, first.consulted, first.failed, first.faults) == (noon, 4, 1, 2, 3)
    assert len(others) == 23 and not any(hour.answers for hour in others)

    later = trail.figures(path, noon + 2 * 3600)
    assert [hour.answers for hour in later.hours[:4]] == [0, 0, 4, 0] and later.outcomes == found.outcomes
    tomorrow = trail.figures(path, noon + DAY / 2)
    assert tomorrow.consulted.n == 0 and not tomorrow.endings and not tomorrow.forged
    assert sum(hour.answers for hour in tomorrow.hours) == 4 and tomorrow.answers == 4
    assert not any(hour.answers for hour in trail.figures(path, noon + 2 * DAY).hours)


def test_a_fallen_consult_rate_is_found(tmp_path: Path) -> None:
    rows = [entry for n in range(900) for entry in request(f"r{n}", choice(n < 600 and n % 3 == 0))]
    path, last = write(tmp_path, *rows)
    found = trail.figures(path, last)
    assert (found.moved, found.answers) == ("fell", 900)
    assert found.expected == pytest.approx(1 / 3, abs=0.01)


def test_only_the_newest_events_are_read(tmp_path: Path) -> None:
    rows = [entry for n in range(20) for entry in request(f"r{n}", choice())]
    path, _ = write(tmp_path, *rows)
    at_noon(path)
    assert [event["seq"] for event in trail.recent(path, 3)] == [38, 39, 40]
    assert len(list(trail.recent(path, 1000))) == 40
    assert [one["seq"] for one in trail.listed(path, "", "finished")][:2] == [40, 38]


def test_texts_stand_with_the_requests_they_are_of(tmp_path: Path) -> None:
    begun, ended = request("a", choice(True))
    path, _ = write(tmp_path, begun, ended._replace(texts=("how", "why")), *request("b", choice()))
    assert [event.get("queries") for event in trail.recent(path)] == [None, ["how", "why"], None, None]
    assert (trail.one(path, 2) or {})["queries"] == ["how", "why"]
    assert "queries" not in (trail.one(path, 4) or {"queries": 0})
    assert trail.one(path, 5) is None


def test_an_empty_trail_has_no_figures(tmp_path: Path) -> None:
    path, _ = write(tmp_path)
    found = trail.figures(path, 1e9)
    assert (found.consulted.value, found.expected, found.first) == (None, None, None)
    assert list(trail.recent(path)) == [] and trail.listed(path, "", "") == []


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100])
def test_what_is_no_trail_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a ?#%.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="can't be read"):
        trail.figures(path, 1e9)
    assert path.exists() == (content is not None), "a reader makes no file"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["form", "forged", "choices", "seq", "id", "kind", "at", "tenant", "queries", "rules"])
choices = st.lists(
    st.dictionaries(st.sampled_from(["stop", "finish_reason", "consultations", "faults"]), json_values), max_size=2
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.dictionaries(fields, json_values | choices, max_size=4), kind=st.sampled_from(trail.KINDS))
def test_a_record_of_whatever_form_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, said: dict[str, Any], kind: str
) -> None:
    path, last = write(tmp_path_factory.mktemp("trail"), *request("a", choice()), Entry("a", kind, "team", said))
    try:
        trail.figures(path, last)
    except InputError as error:
        assert "record 3 of the trail" in str(error)
    assert (trail.one(path, 3) or {})["seq"] == 3


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    path, last = write(tmp_path, *request("a", choice()))
    for bad in ("[", "[]", "1" * 5000, "[" * 100_000):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE events SET record = ? WHERE seq = 2", (bad,))
        for read in (lambda: trail.figures(path, last), lambda: trail.one(path, 2)):
            with pytest.raises(InputError, match="record 2 of the trail is damaged"):
                read()
    assert len(trail.listed(path, "", "")) == 2
