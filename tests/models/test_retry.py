"""Failures of a request: which are asked again, and after how long."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl.models.retry import LONGEST_WAIT, RequestFailed, failed_status, pause, retry_after

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None), ("7", 7.0), (" 7 ", 7.0), ("0.5", 0.5), ("0", 0.0), ("86400", LONGEST_WAIT),
        ("inf", LONGEST_WAIT), ("-3", None), ("nan", None), ("", None), ("soon", None),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0), ("Thu, 01 Jan 2026 12:00:30 -0000", 30.0),
        ("Thu, 01 Jan 2026 14:00:30 +0200", 30.0), ("Fri, 02 Jan 2026 12:00:00 GMT", LONGEST_WAIT),
        ("Wed, 31 Dec 2025 12:00:00 GMT", 0.0), ("Thu, 01 Jan 99999 12:00:00 GMT", None),
        ("Mon, 01 Jan 10000000000 00:00:00 GMT", None), ("9" * 5000, LONGEST_WAIT), ("-" + "9" * 5000, None),
        ("[1, 2]", None),
    ],
)  # fmt: skip
def test_what_a_server_asks_for(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


numbers = st.integers(-99, 10**12).map(str)
dates = st.tuples(numbers, st.sampled_from(["Jan", "Foo"]), numbers, numbers, numbers, numbers).map(
    lambda parts: "Mon, {} {} {} {}:{}:00 {}".format(*parts)
)


@given(st.text() | dates)
def test_any_header_is_read(value: str) -> None:
    assert (retry_after(value, NOW) or 0.0) >= 0


@given(st.integers(1, 10_000), st.floats(0, 10), st.none() | st.floats(0, LONGEST_WAIT))
def test_waits_grow_and_are_bounded(attempt: int, backoff: float, asked: float | None) -> None:
    wait = pause(attempt, backoff, asked)
    if asked is None:
        doubled = min(backoff * 2 ** min(attempt - 1, 30), LONGEST_WAIT)
        assert doubled / 2 <= wait <= doubled
    else:
        assert asked <= wait <= asked + backoff


@pytest.mark.parametrize(("status", "passing"), [(408, True), (409, True), (429, True), (500, True), (503, True)])
def test_what_passes(status: int, passing: bool) -> None:
    failed = failed_status(status, "busy", {"retry-after": "3"})
    assert (failed.kind, failed.passing, failed.wait, failed.ends_run) == (f"http_{status}", passing, 3.0, False)


@pytest.mark.parametrize(("status", "ends_run"), [(400, False), (422, False), (401, True), (403, True), (404, True)])
def test_what_stays(status: int, ends_run: bool) -> None:
    failed = failed_status(status, "no\n way", {})
    assert (failed.passing, failed.ends_run, failed.reason) == (False, ends_run, "no way")
    assert [RequestFailed(k, "x", passing=True).ends_run for k in ("unreachable", "connection")] == [True, False]
