"""What can go wrong with one request to a server, what is worth asking again, and how long to wait before."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 120.0  # seconds; a server that asks for more (a daily quota, a wrong clock) is asked again after this
PASSING = (408, 409, 429)  # and every 5xx
ENDS_RUN = ("http_401", "http_403", "http_404", "unreachable", "not_sent", "redirected")


class RequestFailed(Exception):
    """A request that got no chat completion.

    kind: `http_<status>`, `timeout`, `connection` (lost on the way), `unreachable` (nobody listens there),
    `not_a_completion` (half-written JSON, a web page, no choices, no end), `redirected` (to another server) or
    `not_sent` (no request can be made of the settings). passing: the same request may succeed later. wait: the seconds
    the server asks for, if it does. attempts: how often the request was sent.
    """

    def __init__(self, kind: str, reason: str, passing: bool, wait: float | None = None) -> None:
        self.kind, self.passing, self.wait, self.attempts = kind, passing, wait, 1
        self.reason = " ".join(reason.split())[:500]
        super().__init__(self.reason)

    @property
    def ends_run(self) -> bool:
        """Whether every other prompt would fail the same way: a wrong key, model or address."""
        return self.kind in ENDS_RUN


def failed_status(status: int, reason: str, headers: Mapping[str, str]) -> RequestFailed:
    """The failure behind an HTTP status. 408, 409, 429 and 5xx pass; any other is an answer that will not change."""
    passing = status in PASSING or status >= 500
    return RequestFailed(f"http_{status}", reason, passing, retry_after(headers.get("retry-after")))


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """The seconds a Retry-After header asks for (a number, or an HTTP date), at most LONGEST_WAIT; None without sense.

    A date that has passed means now.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
            if date.tzinfo is None:
                date = date.replace(tzinfo=UTC)
            seconds = max((date - (now or datetime.now(UTC))).total_seconds(), 0.0)
        except (ValueError, TypeError, LookupError, ArithmeticError):  # what the library raises for one or another
            return None
    return min(seconds, LONGEST_WAIT) if seconds >= 0 else None  # nan and negative numbers are not >= 0


def pause(attempt: int, backoff: float, asked: float | None = None) -> float:
    """The seconds to wait after failed attempt 1, 2, ..: doubling from `backoff`, and no less than the server asks for.

    The wait is drawn from its upper half, so that requests that failed together do not come back together.
    """
    wait = min(backoff * 2 ** min(attempt - 1, 30), LONGEST_WAIT) * random.uniform(0.5, 1.0)
    return wait if asked is None else asked + min(wait, backoff)
